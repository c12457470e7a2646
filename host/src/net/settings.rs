//! The field `network` of `prepare`, checked: nothing of it gets into a rule's text but addresses and numbers.

use std::net::Ipv4Addr;

use serde_json::{Map, Value};

use super::subnet::Subnet;
use crate::error::Failure;

/// Most ranges, and most name servers.
const LIST_MAX: usize = 1024;

/// What guests may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whatever the machine reaches, other guests of the instance excepted
    pub open: bool,
    /// Closed ranges that are reached all the same
    pub allow: Vec<Subnet>,
    /// Name servers, on port 53 alone
    pub resolvers: Vec<Ipv4Addr>,
    pub bounds: Bounds,
}

/// Of each guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at once, as the kernel tracks them
    pub connections: u32,
    /// New ones in a second, with as many more at a time as it may have at once
    pub connections_per_second: u32,
    /// Packets outwards in a second; one may be a whole segment of tens of KiB
    pub packets_per_second: u32,
}

impl Settings {
    /// Errors: `invalid_argument`, which names the field.
    pub fn parse(network: &Value) -> Result<Settings, Failure> {
        let fields = object(network, "network", &["open", "allow", "resolvers", "bounds"])?;
        let bounds = ["connections", "connectionsPerSecond", "packetsPerSecond"];
        let bounds = object(&fields["bounds"], "network.bounds", &bounds)?;
        let open = fields["open"].as_bool();
        Ok(Settings {
            open: open.ok_or_else(|| Failure::invalid("network.open must be true or false."))?,
            allow: list(fields, "allow", "ranges of IPv4", Subnet::parse)?,
            resolvers: list(fields, "resolvers", "addresses of IPv4", |text| text.parse().ok())?,
            bounds: Bounds {
                connections: number(bounds, "connections")?,
                connections_per_second: number(bounds, "connectionsPerSecond")?,
                packets_per_second: number(bounds, "packetsPerSecond")?,
            },
        })
    }
}

/// An object with these members and no others.
fn object<'a>(value: &'a Value, name: &str, members: &[&str]) -> Result<&'a Map<String, Value>, Failure> {
    let fields = value.as_object().ok_or_else(|| Failure::invalid(format!("{} must be an object.", name)))?;
    if let Some(other) = fields.keys().find(|key| !members.contains(&key.as_str())) {
        return Err(Failure::invalid(format!("{}.{} is not a field.", name, other)));
    }
    match members.iter().find(|member| !fields.contains_key(**member)) {
        Some(missing) => Err(Failure::invalid(format!("{}.{} is missing.", name, missing))),
        None => Ok(fields),
    }
}

fn list<T>(
    fields: &Map<String, Value>,
    name: &str,
    what: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, Failure> {
    let wrong = || Failure::invalid(format!("network.{} must be a list of at most {} {}.", name, LIST_MAX, what));
    let items = fields[name].as_array().filter(|items| items.len() <= LIST_MAX).ok_or_else(wrong)?;
    items.iter().map(|item| item.as_str().and_then(&parse).ok_or_else(wrong)).collect()
}

fn number(fields: &Map<String, Value>, name: &str) -> Result<u32, Failure> {
    let value = fields[name].as_u64().filter(|value| (1..=10_000_000).contains(value));
    value
        .map(|value| value as u32)
        .ok_or_else(|| Failure::invalid(format!("network.bounds.{} must be a whole number from 1 to 10000000.", name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn network() -> Value {
        let bounds = json!({ "connections": 1, "connectionsPerSecond": 2, "packetsPerSecond": 3 });
        json!({ "open": false, "allow": ["10.1.0.0/16", "192.0.2.1"], "resolvers": ["192.0.2.53"], "bounds": bounds })
    }

    #[test]
    fn reads_what_guests_may_reach() {
        let settings = Settings::parse(&network()).unwrap();
        assert_eq!(settings.allow, [Subnet::parse("10.1.0.0/16").unwrap(), Subnet::parse("192.0.2.1/32").unwrap()]);
        assert_eq!(settings.bounds, Bounds { connections: 1, connections_per_second: 2, packets_per_second: 3 });
    }

    #[test]
    fn lets_no_text_through() {
        let wrong = [
            ("/allow/0", json!("10.0.0.0/8 } ; flush ruleset")),
            ("/allow/0", json!("10.0.0.0/33")),
            ("/allow/0", json!("::/0")),
            ("/allow", json!(vec!["10.0.0.0/8"; LIST_MAX + 1])),
            ("/resolvers/0", json!("192.0.2.53/32")),
            ("/resolvers/0", json!(7)),
            ("/open", json!("false")),
            ("/bounds/connections", json!(0)),
            ("/bounds/packetsPerSecond", json!(1.5)),
            ("/bounds", json!({})),
        ];
        for (place, value) in wrong {
            let mut network = network();
            *network.pointer_mut(place).unwrap() = value;
            assert!(Settings::parse(&network).is_err(), "{}", network);
        }
        let mut other = network();
        other["rules"] = json!("");
        assert_eq!(Settings::parse(&other).unwrap_err().message, "network.rules is not a field.");
    }
}
