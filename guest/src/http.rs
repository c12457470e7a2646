//! The one thing that code in a sandbox asks the agent: `GET /health` and `GET /envs` on 127.0.0.1:49983, as it would
//! ask E2B's own daemon. Answers one request per connection.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::agent::Agent;
use crate::stream::{Chunk, Stream};

const ADDRESS: &str = "127.0.0.1:49983";
/// Connections served at once; further ones wait.
const CONNECTIONS_MAX: usize = 64;
/// Longest request head.
const HEAD_MAX_BYTES: usize = 8 * 1024;
const HEADERS_MAX: usize = 64;
/// Time for one connection from its first byte to its last.
const CONNECTION_TIME: Duration = Duration::from_secs(5);
/// Time before the next try when the system has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Starts to answer. Where the port is taken it goes without.
pub async fn start(agent: Rc<Agent>) {
    let listener = match TcpListener::bind(ADDRESS).await {
        Ok(listener) => listener,
        Err(_) => return,
    };
    tokio::task::spawn_local(async move {
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let slot = Arc::clone(&slots).acquire_owned().await;
            match listener.accept().await {
                Ok((stream, _)) => {
                    let agent = Rc::clone(&agent);
                    tokio::task::spawn_local(async move {
                        let _ = timeout(CONNECTION_TIME, serve(stream, &agent)).await;
                        drop(slot);
                    });
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    });
}

async fn serve(stream: TcpStream, agent: &Agent) -> std::io::Result<()> {
    let stream = Stream::Tcp(stream);
    let mut head = Vec::new();
    let response = loop {
        match stream.read_with(|bytes| head.extend_from_slice(bytes)).await? {
            Chunk::Eof => return Ok(()),
            Chunk::Bytes(()) => {}
        }
        if let Some(response) = respond(&head, agent) {
            break response;
        }
    };
    stream.write_all(response.as_bytes(), &[]).await?;
    stream.shutdown_write();
    // Until the client closes: a reset could overtake the answer.
    while let Chunk::Bytes(()) = stream.read_with(|_| ()).await? {}
    Ok(())
}

/// The whole response, once the head is complete or hopeless.
fn respond(head: &[u8], agent: &Agent) -> Option<String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Partial) if head.len() < HEAD_MAX_BYTES => return None,
        Ok(httparse::Status::Complete(_)) => {}
        _ => return Some(error(400, "Bad Request", "The request can't be understood.")),
    }
    let path = request.path.unwrap_or("").split('?').next().unwrap_or("");
    Some(match (request.method.unwrap_or(""), path) {
        ("GET", "/health") => "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_owned(),
        ("GET", "/envs") => json_response(200, "OK", &environment(agent)),
        (_, "/health" | "/envs") => error(405, "Method Not Allowed", "Only GET is answered here."),
        _ => error(404, "Not Found", "Only /health and /envs are answered inside the sandbox."),
    })
}

fn environment(agent: &Agent) -> String {
    let settings = agent.settings.borrow();
    let mut env = settings.identity();
    env.extend(settings.env.clone());
    json!(env).to_string()
}

fn error(status: u16, reason: &str, message: &str) -> String {
    json_response(status, reason, &json!({ "code": status, "message": message }).to_string())
}

fn json_response(status: u16, reason: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
        status,
        reason,
        body.len(),
        body
    )
}
