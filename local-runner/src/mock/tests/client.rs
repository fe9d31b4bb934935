//! An HTTP client that hides nothing.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;

use crate::mock::MockServer;

/// A response as it came.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
    /// The body ended as HTTP says it must.
    pub(super) is_complete: bool,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The `data:` of each event; every event must be one.
    pub(super) fn events(&self) -> Vec<Value> {
        let events = self.body.split_terminator("\n\n").flat_map(|event| event.split_terminator("\r\n\r\n"));
        let data = events.map(|event| event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap());
        data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    pub(super) fn has_header(&self, line: &str) -> bool {
        self.head.lines().any(|found| found.eq_ignore_ascii_case(line))
    }
}

pub(super) fn exchange(address: SocketAddr, request: &str) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    // A reset is one way of being cut.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, rest) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let (body, is_complete) = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        unchunked(rest)
    } else {
        (rest.to_owned(), true)
    };
    Reply { status, head: head.to_owned(), body, is_complete }
}

pub(super) fn unchunked(mut rest: &str) -> (String, bool) {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        body.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
    (body, false)
}

pub(super) fn get(server: &MockServer, path: &str, headers: &str) -> Reply {
    exchange(server.addr(), &format!("GET {path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\n{headers}\r\n"))
}

pub(super) fn post(server: &MockServer, path: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}");
    exchange(server.addr(), &format!("{head}\r\n{body}"))
}

pub(super) const VERSION: &str = "anthropic-version: 2023-06-01\r\n";
