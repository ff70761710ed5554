//! One connection to an RPC port, which costs the loader little.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, StatusCode,
    client::conn::http1::{SendRequest, handshake},
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A connection that is opened again when it is lost.
pub struct Connection {
    /// `HOST:PORT`.
    address: String,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// To `http://HOST:PORT`; opened by the first request.
    ///
    /// # Errors
    /// It is no such address.
    pub fn new(url: &str) -> Result<Self> {
        let address =
            url.strip_prefix("http://").with_context(|| format!("{url} is not http://"))?;
        Ok(Self { address: address.trim_end_matches('/').to_owned(), open: None })
    }

    /// Posts JSON; the answer's body. After an error the connection is another one.
    ///
    /// # Errors
    /// Nobody answers, or not with 200.
    pub async fn post(&mut self, body: Bytes) -> Result<Bytes> {
        let mut sender = match self.open.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => {
                let stream = TcpStream::connect(&self.address).await?;
                stream.set_nodelay(true)?;
                let (sender, connection) = handshake(TokioIo::new(stream)).await?;
                // It ends with the sender, or with an error that the sender's request has too.
                tokio::spawn(connection);
                sender
            }
        };
        sender.ready().await?;
        let request = Request::post("/")
            .header(HOST, &self.address)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if status != StatusCode::OK {
            bail!("{status}: {}", String::from_utf8_lossy(&body));
        }
        self.open = Some(sender);
        Ok(body)
    }
}
