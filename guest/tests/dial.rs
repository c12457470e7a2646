//! Ports of the sandbox.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::thread;

use serde_json::json;
use support::Agent;

#[test]
fn half_closes_both_ways() {
    let agent = Agent::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        stream.read_to_end(&mut request).unwrap();
        request.reverse();
        stream.write_all(&request).unwrap();
    });
    let mut client = agent.open(json!({ "op": "dial", "port": port }));
    assert_eq!(client.reply(), json!({}));
    let sent: Vec<u8> = (0..3_000_000u32).map(|number| number as u8).collect();
    client.0.write_all(&sent).unwrap();
    client.0.shutdown(Shutdown::Write).unwrap();
    let mut received = Vec::new();
    client.0.read_to_end(&mut received).unwrap();
    received.reverse();
    assert!(received == sent);
    server.join().unwrap();
}

#[test]
fn the_end_of_the_server_reaches_the_host_first() {
    let agent = Agent::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut client = agent.open(json!({ "op": "dial", "port": port, "host": "127.0.0.1" }));
    client.reply();
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(b"bye").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut received = Vec::new();
    client.0.read_to_end(&mut received).unwrap();
    assert_eq!(received, b"bye");
    client.0.write_all(b"still here").unwrap();
    client.0.shutdown(Shutdown::Write).unwrap();
    received.clear();
    stream.read_to_end(&mut received).unwrap();
    assert_eq!(received, b"still here");
}

#[test]
fn finds_a_server_on_ipv6_loopback() {
    let agent = Agent::start();
    let listener = match TcpListener::bind("[::1]:0") {
        Ok(listener) => listener,
        Err(_) => {
            eprintln!("skipped: there is no IPv6 here");
            return;
        }
    };
    let port = listener.local_addr().unwrap().port();
    agent.open(json!({ "op": "dial", "port": port })).reply();
}

#[test]
fn says_that_nobody_listens() {
    let agent = Agent::start();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for request in [json!({ "op": "dial", "port": port }), json!({ "op": "dial", "port": port, "host": "127.0.0.1" })] {
        let error = agent.error(request);
        assert_eq!((&error["code"], &error["errno"]), (&json!("unavailable"), &json!("ECONNREFUSED")));
    }
    assert_eq!(agent.error(json!({ "op": "dial", "port": 0 }))["code"], "invalid_argument");
    assert_eq!(agent.error(json!({ "op": "dial", "port": 1, "host": "name" }))["code"], "invalid_argument");
}
