//! The instance's rules on the machine, and those of its router. What a guest may reach is said in
//! src/network/rules.json, which the server has its rules for Docker's bridges from too.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use serde_json::Value;

use super::elements::Set;
use super::router::AGENT_PORT;
use super::settings::Settings;
use super::subnet::Subnet;

const SHARED: &str = include_str!("../../../src/network/rules.json");

/// The router's set of guests that are closed.
pub const CLOSED: Set = Set { table: "e2b", name: "shut" };
/// The router's set of guests whose agents the machine asks by the network.
pub const AGENTS: Set = Set { table: "e2b", name: "agents" };

/// Removes a table that may not be there, for use in front of others in one transaction.
pub fn removal_of(table: &str) -> String {
    format!("add table inet {0}\ndelete table inet {0}\n", table)
}

/// A whole table, in the place of the one that was there. `uplink`: the one interface that all guests are behind.
pub fn of_instance(table: &str, uplink: &str, subnet: &Subnet, settings: &Settings) -> String {
    let blocks = if settings.open { Vec::new() } else { shared(uplink, subnet, settings) };
    let masquerade = format!("ip saddr {} oifname != \"{}\" masquerade", subnet, uplink);
    let hook = "type nat hook postrouting priority srcnat; policy accept;".to_owned();
    let text: String =
        blocks.into_iter().chain([("chain masked".to_owned(), vec![hook, masquerade])]).map(block).collect();
    format!("{}table inet {} {{\n{}}}\n", removal_of(table), table, text)
}

/// Of the router's own name space. It goes between `up` and guests and no other way. What one may not reach is refused, so
/// that programs don't wait. Its set stays as it is where it is there: these rules are applied again after a crash.
/// `machine`: its address, as guests see it.
pub fn of_router(machine: Ipv4Addr) -> String {
    let (Set { table, name }, refuse) = (CLOSED, "reject with icmpx type admin-prohibited".to_owned());
    let unheard = "reject with icmpx type port-unreachable";
    let hook = |place| format!("type filter hook {} priority filter; policy drop;", place);
    let chain = |place: &str, lines: Vec<String>| (format!("chain {}", place), lines);
    let declared = [
        (format!("set {}", name), vec!["type ipv4_addr".to_owned()]),
        (format!("set {}", AGENTS.name), vec!["type ipv4_addr".to_owned()]),
        chain("forward", vec![hook("forward")]),
        chain("input", vec![hook("input")]),
    ];
    let filled = [
        chain(
            "forward",
            vec![
                // What the machine asks agents, and what they answer, goes both ways whether their guests are closed or not.
                format!("ip saddr {} ip daddr @{} tcp dport {} accept", machine, AGENTS.name, AGENT_PORT),
                format!("ip saddr @{} ip daddr {} tcp sport {} accept", AGENTS.name, machine, AGENT_PORT),
                // To other guests it begins no connection there.
                format!("ip saddr {} tcp dport {} tcp flags & (syn | ack) == syn {}", machine, AGENT_PORT, refuse),
                format!("ip daddr @{} drop", name),
                // The one refusal of a datagram that gVisor tells its programs of.
                format!("ip saddr @{} ip saddr @{} meta l4proto udp {}", name, AGENTS.name, unheard),
                format!("ip saddr @{} {}", name, refuse),
                "iifname \"up\" accept".to_owned(),
                "oifname \"up\" accept".to_owned(),
                refuse.clone(),
            ],
        ),
        chain("input", vec![refuse.clone()]),
    ];
    let [forward, input] = filled;
    format!(
        "table inet {0} {{\n{1}}}\nflush chain inet {0} forward\nflush chain inet {0} input\ntable inet {0} {{\n{2}{3}}}\n",
        table,
        declared.map(block).concat(),
        block(forward),
        block(input)
    )
}

/// Whether a table has every chain of `text` with as many rules, as the kernel lists it.
pub fn are_whole(text: &str, listed: &str) -> bool {
    let there = chain_sizes(listed);
    chain_sizes(text).iter().all(|(name, rules)| there.get(name).map_or(false, |there| there >= rules))
}

fn chain_sizes(text: &str) -> HashMap<&str, usize> {
    let mut sizes = HashMap::new();
    let mut within = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("chain ").and_then(|rest| rest.strip_suffix(" {")) {
            within = Some(name);
            sizes.insert(name, 0);
        } else if line == "}" {
            within = None;
        } else if let Some(size) = within.and_then(|name| sizes.get_mut(name)) {
            *size += 1;
        }
    }
    sizes
}

type Block = (String, Vec<String>);

/// A line whose value is missing is left out.
fn shared(uplink: &str, subnet: &Subnet, settings: &Settings) -> Vec<Block> {
    let shared: Value = serde_json::from_str(SHARED).expect("src/network/rules.json is JSON");
    let closed: Vec<String> =
        shared["closed"].as_object().into_iter().flatten().map(|(range, _)| range.clone()).collect();
    let allow: Vec<String> = settings.allow.iter().map(Subnet::to_string).collect();
    let resolvers: Vec<String> = settings.resolvers.iter().map(Ipv4Addr::to_string).collect();
    let values: Vec<(&str, String)> = vec![
        ("$bridge", uplink.to_owned()),
        ("$subnet", subnet.to_string()),
        ("$resolvers", resolvers.join(", ")),
        ("$allow", allow.join(", ")),
        ("$closed", closed.join(", ")),
        ("$agentPort", AGENT_PORT.to_string()),
        ("$connectionsPerSecond", settings.bounds.connections_per_second.to_string()),
        ("$connections", settings.bounds.connections.to_string()),
        ("$packetsPerSecond", settings.bounds.packets_per_second.to_string()),
    ];
    let fill = |line: &str| {
        let used: Vec<_> = values.iter().filter(|(name, _)| line.contains(name)).collect();
        let filled = used.iter().fold(line.to_owned(), |line, (name, value)| line.replace(name, value));
        (!filled.contains('$') && used.iter().all(|(_, value)| !value.is_empty())).then_some(filled)
    };
    let blocks = shared["table"].as_array().into_iter().flatten();
    blocks
        .map(|block| {
            let lines = block["lines"].as_array().into_iter().flatten().filter_map(Value::as_str);
            (block["name"].as_str().unwrap_or_default().to_owned(), lines.filter_map(fill).collect())
        })
        .collect()
}

fn block((name, lines): Block) -> String {
    let lines: String = lines.iter().map(|line| format!("    {}\n", line)).collect();
    format!("  {} {{\n{}  }}\n", name, lines)
}
