//! What the helper makes of messages that no server sends.

mod support;

use serde_json::json;
use support::{start, Client, Helper};

#[test]
fn refuses_what_it_does_not_know_and_names_the_field() {
    let helper = Helper::start();
    let mut client = Client::connect(&helper.root);
    assert_eq!(client.refused(json!({ "op": "list" })), "failed_precondition");
    assert_eq!(client.refused(json!({ "op": "hello", "protocol": 2 })), "failed_precondition");
    let hello = client.ask(json!({ "op": "hello", "protocol": 1 }));
    assert_eq!((&hello["build"], &hello["pid"]), (&json!("test"), &json!(helper.pid())));
    assert!(hello["features"]["cgroup"]["has"].as_u64().is_some());
    assert_eq!(client.refused(json!({ "op": "fly" })), "unimplemented");
    for (field, value) in [
        ("sandbox", json!("../etc")),
        ("layers", json!([])),
        ("layers", json!(["../../etc"])),
        ("hostname", json!("a\nb")),
        ("cpuCount", json!(0)),
        ("memoryMb", json!(-1)),
        ("pids", json!(1e9)),
        ("egress", json!("ajar")),
        ("note", json!("x".repeat(5000))),
        ("other", json!(1)),
    ] {
        let mut request = start("a");
        request[field] = value;
        let reply = client.try_ask(request);
        assert_eq!(reply["error"]["code"], "invalid_argument", "{}: {}", field, reply);
    }
    // Said once for all of the helper, not for a connection.
    assert_eq!(client.ask(json!({ "op": "find", "sandbox": "a" }))["state"], "gone");
}

#[test]
fn ends_connections_that_break_the_protocol_and_goes_on() {
    let helper = Helper::start();
    for bytes in [b"[]".to_vec(), b"{}".to_vec(), b"\xff".to_vec(), b"[".repeat(100_000)] {
        let mut client = helper.connect();
        client.send_bytes(&bytes);
        assert!(client.read().is_none());
    }
    let mut twice = helper.connect();
    let request = json!({ "id": 9, "op": "unpack", "upload": "none", "layer": "x", "format": "tar" }).to_string();
    // Two that wait at once have the same id; the first may be done by then.
    twice.send_bytes(request.as_bytes());
    twice.send_bytes(request.as_bytes());
    let mut client = helper.connect();
    assert_eq!(client.ask(json!({ "op": "list" })), json!({ "sandboxes": [] }));
}
