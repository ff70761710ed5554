//! Processes that die, logs that are torn, sockets that are taken.

mod common;

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::{net::UnixStream, process::ExitStatusExt},
    path::Path,
    process::{Command, Stdio},
};

use common::{Bench, users};
use plasma_app::{
    abci::{ListenError, Listener},
    node::{Keep, Node},
};
use prost::Message;
use tendermint_proto::v0_38::abci::{
    Request, RequestCheckTx, RequestEcho, RequestFlush, RequestQuery, Response, request, response,
};

/// Tells the test binary that it is the process to be killed.
const CHILD: &str = "PLASMA_CRASH_TEST_HOME";
const KILLED: i32 = 9;

fn block(height: i64) -> Vec<Vec<u8>> {
    let users = users();
    vec![users[1].send(&users[2], 1_000 + height as u64, height as u64 - 1)]
}

/// Runs only as a child: commits blocks and says so, then waits inside of the window between
/// FinalizeBlock and Commit.
#[test]
fn child() {
    let Some(home) = std::env::var_os(CHILD) else { return };
    let bench = Bench::open(Path::new(&home));
    let (height, _) = bench.info();
    if height == 0 {
        bench.init();
    }
    for height in height + 1..=height + 3 {
        let done = bench.block(height, &block(height));
        println!("committed {height} {}", hex::encode(done.app_hash));
    }
    let done = bench.finalize(height + 4, &block(height + 4));
    println!("window {} {}", height + 4, hex::encode(done.app_hash));
    std::thread::sleep(std::time::Duration::from_secs(60));
}

#[test]
fn a_process_killed_in_the_window_comes_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = 0;
    for _ in 0..4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut committed = String::new();
        let window = loop {
            let line = lines.next().unwrap().unwrap();
            if let Some(at) = line.find("committed ") {
                committed = line[at..].to_owned();
            }
            if let Some(at) = line.find("window ") {
                break line[at..].to_owned();
            }
        };
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(KILLED));
        let bench = Bench::open(dir.path());
        let (height, hash) = bench.info();
        assert_eq!(format!("committed {height} {}", hex::encode(hash)), committed);
        assert_eq!(height, last + 3);
        bench.node.check().unwrap();
        // CometBFT sends the block again, and it does what it did.
        let done = bench.block(height + 1, &block(height + 1));
        assert_eq!(format!("window {} {}", height + 1, hex::encode(done.app_hash)), window);
        last = height + 1;
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// Whatever is cut off the write-ahead log, the node is at one block or at the one before, or
/// refuses; never between.
#[test]
fn a_torn_log_never_mixes_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let mut known = vec![(0, Vec::new())];
    for height in 1..4 {
        bench.block(height, &block(height));
        known.push(bench.info());
    }
    // Copied while it is open: nothing has been flushed from the log into tables.
    let torn = tempfile::tempdir().unwrap();
    let source = dir.path().join("state.db");
    let log = std::fs::read_dir(&source)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "log"))
        .max()
        .unwrap();
    let bytes = std::fs::read(&log).unwrap();
    let name = log.file_name().unwrap().to_owned();
    let mut seen = std::collections::BTreeSet::new();
    let cuts = (0..48).map(|n| bytes.len() - 1 - n * (bytes.len() / 50)).chain([0, bytes.len()]);
    for (n, cut) in cuts.enumerate() {
        let home = torn.path().join(n.to_string());
        copy(&source, &home.join("state.db"));
        std::fs::write(home.join("state.db").join(&name), &bytes[..cut]).unwrap();
        let keep = Keep { recent: 100, cache_bytes: 1 << 20, ..Keep::default() };
        let Ok(node) = Node::open(&home.join("state.db"), keep) else { continue };
        let head = node.head();
        let found =
            head.map_or((0, Vec::new()), |head| (head.height as i64, head.app_hash.to_vec()));
        assert!(known.contains(&found), "cut at {cut}");
        seen.insert(found.0);
        if found.0 > 0 {
            node.check().unwrap();
        }
    }
    assert!(seen.contains(&3) && seen.contains(&2), "{seen:?}");
    // A flipped byte is found, or what lies behind it is gone; a wrong state is never served.
    for n in 0..40 {
        let at = n * (bytes.len() / 40);
        let home = torn.path().join(format!("flip{n}"));
        copy(&source, &home.join("state.db"));
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        std::fs::write(home.join("state.db").join(&name), &bytes).unwrap();
        let keep = Keep { recent: 100, cache_bytes: 1 << 20, ..Keep::default() };
        let Ok(node) = Node::open(&home.join("state.db"), keep) else { continue };
        let head = node.head();
        let found =
            head.map_or((0, Vec::new()), |head| (head.height as i64, head.app_hash.to_vec()));
        assert!(known.contains(&found) && found.0 >= 2, "flipped at {at}: {}", found.0);
        if found.0 > 0 {
            node.check().unwrap();
        }
    }
}

#[test]
fn one_home_has_one_node() {
    let dir = tempfile::tempdir().unwrap();
    let _bench = Bench::new(dir.path());
    let keep = Keep { recent: 1, cache_bytes: 1 << 20, ..Keep::default() };
    let error = Node::open(&dir.path().join("state.db"), keep).err().unwrap().to_string();
    assert!(error.contains("another plasmad has"), "{error}");
}

#[test]
fn the_socket_is_taken_over_only_from_the_dead() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let path = dir.path().join("abci.sock");
    let address = format!("unix://{}", path.display());
    let mut first = Listener::start(&address, bench.app.clone()).unwrap();
    let taken = Listener::start(&address, bench.app.clone());
    assert!(matches!(taken, Err(ListenError::Taken(_))));
    first.stop();
    assert!(!path.exists());
    // A socket that a crash left behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    drop(Listener::start(&address, bench.app.clone()).unwrap());
    std::fs::write(&path, "a file").unwrap();
    let refused = Listener::start(&address, bench.app.clone());
    assert!(matches!(refused, Err(ListenError::NotASocket(_))));
    let long = format!("unix:///{}", "x".repeat(200));
    assert!(matches!(Listener::start(&long, bench.app.clone()), Err(ListenError::PathTooLong(_))));
}

fn read_reply(stream: &mut impl Read) -> Option<response::Value> {
    let mut length = 0usize;
    for shift in 0..10 {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        length |= usize::from(byte[0] & 0x7f) << (7 * shift);
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Response::decode(&body[..]).unwrap().value
}

#[test]
fn the_listener_answers_in_order_whatever_the_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    for address in
        [format!("unix://{}", dir.path().join("a.sock").display()), "tcp://127.0.0.1:0".into()]
    {
        let listener = Listener::start(&address, bench.app.clone()).unwrap();
        let calls = [
            request::Value::Echo(RequestEcho { message: "hello".into() }),
            request::Value::CheckTx(RequestCheckTx { tx: vec![1; 300].into(), r#type: 0 }),
            request::Value::Query(RequestQuery { path: "/nothing".into(), ..Default::default() }),
            request::Value::Flush(RequestFlush {}),
        ];
        let mut bytes = Vec::new();
        for call in calls {
            Request { value: Some(call) }.encode_length_delimited(&mut bytes).unwrap();
        }
        Request { value: None }.encode_length_delimited(&mut bytes).unwrap();
        let check = |mut stream: Box<dyn ReadWrite>| {
            for byte in &bytes {
                stream.write_all(&[*byte]).unwrap();
            }
            assert!(
                matches!(read_reply(&mut stream), Some(response::Value::Echo(echo)) if echo.message == "hello")
            );
            assert!(
                matches!(read_reply(&mut stream), Some(response::Value::CheckTx(reply)) if reply.code == 2)
            );
            assert!(
                matches!(read_reply(&mut stream), Some(response::Value::Query(reply)) if reply.code == 6)
            );
            assert!(matches!(read_reply(&mut stream), Some(response::Value::Flush(_))));
            assert!(matches!(read_reply(&mut stream), Some(response::Value::Exception(_))));
            // A length beyond the limit ends the connection, not the node.
            stream.write_all(&[0xff, 0xff, 0xff, 0xff, 0x7f]).unwrap();
            assert!(read_reply(&mut stream).is_none());
        };
        match listener.address().strip_prefix("unix://") {
            Some(path) => check(Box::new(UnixStream::connect(path).unwrap())),
            None => {
                let port = listener.address().trim_start_matches("tcp://");
                check(Box::new(std::net::TcpStream::connect(port).unwrap()));
            }
        }
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}
