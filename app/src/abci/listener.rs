//! Sockets, frames, threads.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use bytes::{Buf, BytesMut};
use prost::Message;
use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci::{
    Request, Response, ResponseException, request::Value, response,
};

use super::{abort, panic_text};

/// Largest message taken from CometBFT, bytes: a block and what comes with it.
pub const MESSAGE_BYTES_MAX: u64 = 64 << 20;
/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// Bytes that are taken from the socket before those in front of them are answered.
const AHEAD_BYTES_MAX: usize = 4 << 20;
/// Replies are written once this many bytes wait, whatever else is coming.
const REPLY_BYTES: usize = 48 << 10;
/// A reply buffer that grew above this is given back. A full block's answer stays below it: its memory
/// would be asked from the system anew with every block.
const REPLY_BYTES_KEPT_MAX: usize = 32 << 20;
/// Longest path of a unix socket, bytes: what `sockaddr_un` holds.
const SOCKET_PATH_MAX: usize = 107;

/// Why the socket is not open.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process answers there.
    #[error("another plasmad is running: something answers on {0}; stop it first")]
    Taken(String),
    /// The path does not fit into a socket address.
    #[error(
        "the socket path {0} is longer than {SOCKET_PATH_MAX} bytes; set abci.listen in plasma.toml (and proxy_app in cometbft's config.toml) to a shorter one"
    )]
    PathTooLong(String),
    /// A file that is no socket lies there.
    #[error("{0} exists and is not a socket; remove it or set abci.listen to another path")]
    NotASocket(String),
    /// Anything else.
    #[error("cannot listen on {0}: {1}")]
    Io(String, io::Error),
}

enum Socket {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener),
}

/// One connection's two ends; shutting it down ends its thread.
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
        })
    }

    fn shutdown(&self) {
        // It may be closed already, which is what is wanted.
        let _ = match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(out),
            Self::Tcp(stream) => stream.read(out),
        }
    }
}

/// What can also be read without waiting.
pub(super) trait ReadReady: Read {
    /// Reads what is there; nothing if there is nothing, or no more.
    fn read_ready(&mut self, out: &mut [u8]) -> io::Result<usize>;
}

impl ReadReady for Stream {
    fn read_ready(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = match self {
            Self::Unix(stream) => recv(stream, out, RecvFlags::DONTWAIT),
            Self::Tcp(stream) => recv(stream, out, RecvFlags::DONTWAIT),
        };
        match read {
            Ok((read, _)) => Ok(read),
            Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Stream>>,
}

/// Counts the connections of a [`Listener`].
#[derive(Clone)]
pub struct Connections(Arc<Shared>);

impl Connections {
    /// How many are open.
    pub fn count(&self) -> usize {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Serves CometBFT until it is stopped.
pub struct Listener {
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
    address: String,
    path: Option<PathBuf>,
}

impl Listener {
    /// Opens `address` (`unix://PATH` or `tcp://HOST:PORT`) and serves `app` on it. A socket file
    /// that nobody answers on is left from a crash, and is replaced.
    pub fn start<A: Application + Sync>(address: &str, app: A) -> Result<Self, ListenError> {
        let socket = open(address)?;
        let mut address = address.to_owned();
        let mut path = None;
        match &socket {
            Socket::Unix(_, file) => path = Some(file.clone()),
            Socket::Tcp(listener) => {
                if let Ok(local) = listener.local_addr() {
                    address = format!("tcp://{local}");
                }
            }
        }
        let shared = Arc::new(Shared::default());
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&socket, &app, &shared)
        });
        Ok(Self { shared, accepting: Some(accepting), address, path })
    }

    /// Where CometBFT finds it: the value of `proxy_app`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its connections, to be counted.
    pub fn connections(&self) -> Connections {
        Connections(Arc::clone(&self.shared))
    }

    /// Takes no more calls. Those under way are finished.
    pub fn stop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.values().for_each(Stream::shutdown);
        drop(open);
        // A connection wakes the accepting thread, which then sees that it is over.
        match &self.path {
            Some(path) => drop(UnixStream::connect(path)),
            None => drop(TcpStream::connect(self.address.trim_start_matches("tcp://"))),
        }
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        if let Some(path) = self.path.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.accepting.is_some() {
            self.stop();
        }
    }
}

fn open(address: &str) -> Result<Socket, ListenError> {
    let failed = |error| ListenError::Io(address.to_owned(), error);
    let Some(path) = address.strip_prefix("unix://") else {
        let listener = TcpListener::bind(address.trim_start_matches("tcp://"));
        return Ok(Socket::Tcp(listener.map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => ListenError::Taken(address.to_owned()),
            _ => failed(error),
        })?));
    };
    if path.len() > SOCKET_PATH_MAX {
        return Err(ListenError::PathTooLong(path.to_owned()));
    }
    let path = PathBuf::from(path);
    match std::fs::symlink_metadata(&path) {
        Err(_) => {}
        Ok(found) => {
            use std::os::unix::fs::FileTypeExt;
            if !found.file_type().is_socket() {
                return Err(ListenError::NotASocket(path.display().to_string()));
            }
            if UnixStream::connect(&path).is_ok() {
                return Err(ListenError::Taken(address.to_owned()));
            }
            std::fs::remove_file(&path).map_err(failed)?;
        }
    }
    let listener = UnixListener::bind(&path).map_err(failed)?;
    Ok(Socket::Unix(listener, path))
}

fn accept<A: Application + Sync>(socket: &Socket, app: &A, shared: &Arc<Shared>) {
    loop {
        let stream = match socket {
            Socket::Unix(listener, _) => listener.accept().map(|(stream, _)| Stream::Unix(stream)),
            Socket::Tcp(listener) => listener.accept().and_then(|(stream, _)| {
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }),
        };
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let opened =
            stream.and_then(|stream| Ok((stream.try_clone()?, stream.try_clone()?, stream)));
        let (reader, writer, handle) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::warn!(%error, "abci: a connection failed");
                continue;
            }
        };
        let id = shared.next.fetch_add(1, Ordering::Relaxed);
        shared.open.lock().unwrap_or_else(PoisonError::into_inner).insert(id, handle);
        let (app, shared) = (app.clone(), Arc::clone(shared));
        thread::spawn(move || {
            let ended = serve(&app, reader, writer, &shared.stopping);
            if let Err(error) = ended
                && !shared.stopping.load(Ordering::SeqCst)
            {
                tracing::error!(%error, "abci: connection closed");
            }
            let open = shared.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            if let Some(stream) = open {
                stream.shutdown();
            }
        });
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// The length in front of a message, and the bytes that it takes; `None` while it is incomplete.
fn frame(bytes: &[u8]) -> io::Result<Option<(u64, usize)>> {
    let mut length = 0u64;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        length |= u64::from(byte & 0x7f).checked_shl(7 * at as u32).unwrap_or(0);
        if byte & 0x80 == 0 {
            if length > MESSAGE_BYTES_MAX {
                return Err(invalid(format!(
                    "a message of {length} bytes, at most {MESSAGE_BYTES_MAX}"
                )));
            }
            return Ok(Some((length, at + 1)));
        }
    }
    if bytes.len() < 10 { Ok(None) } else { Err(invalid("the length of a message has no end")) }
}

/// Serves one connection until its end.
pub(super) fn serve<A: Application>(
    app: &A,
    mut reader: impl ReadReady,
    mut writer: impl Write,
    stopping: &AtomicBool,
) -> io::Result<()> {
    let mut input = BytesMut::with_capacity(READ_BYTES);
    let mut chunk = vec![0; READ_BYTES];
    let mut replies = Vec::with_capacity(READ_BYTES);
    loop {
        while let Some((length, head)) = frame(&input)? {
            let needed = head + length as usize;
            if input.len() < needed {
                input.reserve(needed - input.len());
                break;
            }
            input.advance(head);
            // Transactions are slices of this one buffer.
            let body = input.split_to(length as usize).freeze();
            let request = Request::decode(body).map_err(invalid)?;
            let flush = matches!(request.value, Some(Value::Flush(_)));
            let reply = answer(app, request);
            let bytes = reply.encoded_len();
            replies.reserve(bytes + prost::length_delimiter_len(bytes));
            reply.encode_length_delimited(&mut replies).map_err(invalid)?;
            // CometBFT must not wait for room in the socket: its timer of 20 ns fires as fast as it can
            // for as long as its writer is held up, and takes a core.
            if input.len() < AHEAD_BYTES_MAX {
                let read = reader.read_ready(&mut chunk)?;
                input.extend_from_slice(chunk.get(..read).unwrap_or_default());
            }
            if flush || replies.len() > REPLY_BYTES {
                writer.write_all(&replies)?;
                replies.clear();
                if replies.capacity() > REPLY_BYTES_KEPT_MAX {
                    replies.shrink_to(READ_BYTES);
                }
            }
        }
        if !replies.is_empty() {
            writer.write_all(&replies)?;
            replies.clear();
        }
        if stopping.load(Ordering::SeqCst) {
            return Ok(());
        }
        let read = reader.read(&mut chunk)?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        input.extend_from_slice(bytes);
    }
}

/// Answers one call, whatever happens inside.
fn answer<A: Application>(app: &A, request: Request) -> Response {
    let exception = |error: String| response::Value::Exception(ResponseException { error });
    let Some(call) = request.value else {
        return Response { value: Some(exception("a request without a value".into())) };
    };
    // Calls after which the state would be in doubt.
    let fatal = match call {
        Value::InitChain(_) => Some("InitChain"),
        Value::FinalizeBlock(_) => Some("FinalizeBlock"),
        Value::Commit(_) => Some("Commit"),
        _ => None,
    };
    let value = catch_unwind(AssertUnwindSafe(|| dispatch(app, call)));
    let value = value.unwrap_or_else(|panic| {
        let text = panic_text(&*panic);
        if let Some(call) = fatal {
            abort(call, text);
        }
        tracing::error!("abci: panic: {text}");
        exception(format!("panic: {text}"))
    });
    Response { value: Some(value) }
}

fn dispatch<A: Application>(app: &A, call: Value) -> response::Value {
    use response::Value as Reply;
    match call {
        Value::Echo(request) => Reply::Echo(app.echo(request)),
        Value::Flush(_) => Reply::Flush(app.flush()),
        Value::Info(request) => Reply::Info(app.info(request)),
        Value::InitChain(request) => Reply::InitChain(app.init_chain(request)),
        Value::Query(request) => Reply::Query(app.query(request)),
        Value::CheckTx(request) => Reply::CheckTx(app.check_tx(request)),
        Value::Commit(_) => Reply::Commit(app.commit()),
        Value::ListSnapshots(_) => Reply::ListSnapshots(app.list_snapshots()),
        Value::OfferSnapshot(request) => Reply::OfferSnapshot(app.offer_snapshot(request)),
        Value::LoadSnapshotChunk(request) => {
            Reply::LoadSnapshotChunk(app.load_snapshot_chunk(request))
        }
        Value::ApplySnapshotChunk(request) => {
            Reply::ApplySnapshotChunk(app.apply_snapshot_chunk(request))
        }
        Value::PrepareProposal(request) => Reply::PrepareProposal(app.prepare_proposal(request)),
        Value::ProcessProposal(request) => Reply::ProcessProposal(app.process_proposal(request)),
        Value::ExtendVote(request) => Reply::ExtendVote(app.extend_vote(request)),
        Value::VerifyVoteExtension(request) => {
            Reply::VerifyVoteExtension(app.verify_vote_extension(request))
        }
        Value::FinalizeBlock(request) => Reply::FinalizeBlock(app.finalize_block(request)),
    }
}
