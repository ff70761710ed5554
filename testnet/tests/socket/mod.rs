//! A WebSocket as browsers open it, with the frames made by hand.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// Of a frame's first byte: the last of its message, and text.
const TEXT: u8 = 0x81;
/// Of a frame's first byte: a ping, which asks for nothing that a test needs.
const PING: u8 = 0x89;
/// A client masks what it sends.
const MASKED: u8 = 0x80;

pub struct Socket {
    stream: TcpStream,
}

impl Socket {
    pub fn open(url: &str) -> Self {
        let address = url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "GET /websocket HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        Self { stream }
    }

    /// One text frame, masked with zeroes.
    pub fn send(&mut self, request: &str) {
        let length = u16::try_from(request.len()).unwrap().to_be_bytes();
        let head = [&[TEXT, MASKED | 126][..], &length, &[0; 4]].concat();
        self.stream.write_all(&[&head, request.as_bytes()].concat()).unwrap();
    }

    /// The next text.
    pub fn read(&mut self) -> String {
        loop {
            let [kind, length] = self.bytes();
            let length = match length {
                126 => u16::from_be_bytes(self.bytes()).into(),
                127 => u64::from_be_bytes(self.bytes()),
                short => u64::from(short),
            };
            let mut content = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut content).unwrap();
            match kind {
                PING => {}
                kind => {
                    assert_eq!(kind, TEXT, "{content:?}");
                    return String::from_utf8(content).unwrap();
                }
            }
        }
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }
}
