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
    upkeep::Upkeep,
};
use plasma_proto::plasma::chain::v1::SnapshotMetadata;
use prost::Message;
use sha2::{Digest, Sha256};
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

/// The last record of the log, cut at every `step`th byte and with every `step`th byte flipped: the
/// node is at the block before, or refuses; with the whole record it is at the block.
fn tear_the_last_record(step: usize) {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let source = dir.path().join("state.db");
    let log = || {
        let files = std::fs::read_dir(&source).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|kind| kind == "log")).max().unwrap()
    };
    bench.block(1, &block(1));
    bench.block(2, &[]);
    let (before, whole_before) = (bench.info(), std::fs::read(log()).unwrap());
    bench.block(3, &[]);
    let (after, whole) = (bench.info(), std::fs::read(log()).unwrap());
    assert!(whole.starts_with(&whole_before) && whole.len() > whole_before.len());
    let name = log().file_name().unwrap().to_owned();
    let torn = tempfile::tempdir().unwrap();
    // `None` is a refusal.
    let open = |bytes: &[u8]| {
        let home = torn.path().join("state.db");
        let _ = std::fs::remove_dir_all(&home);
        copy(&source, &home);
        std::fs::write(home.join(&name), bytes).unwrap();
        let node = Node::open(&home, Keep { recent: 100, cache_bytes: 1 << 20, ..Keep::default() })
            .ok()?;
        let head = node.check().unwrap();
        Some((head.height as i64, head.app_hash.to_vec()))
    };
    assert_eq!(open(&whole), Some(after));
    let mut cases = 0;
    for at in (whole_before.len()..whole.len()).step_by(step).chain([whole.len() - 1]) {
        assert_eq!(open(&whole[..at]), Some(before.clone()), "cut at {at}");
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        if let Some(found) = open(&flipped) {
            assert_eq!(found, before, "flipped at {at}");
        }
        cases += 2;
    }
    println!("{cases} cases, a record of {} bytes", whole.len() - whole_before.len());
}

/// What a power cut can take is what was not forced to disk: of a block that was acknowledged, nothing.
#[test]
fn no_commit_returns_before_the_disk_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    for height in 1..=5 {
        let before = bench.node.store_stats().wal_syncs;
        bench.finalize(height, &block(height));
        assert_eq!(bench.node.store_stats().wal_syncs, before, "FinalizeBlock keeps nothing");
        bench.node.commit().unwrap();
        assert_eq!(bench.node.store_stats().wal_syncs, before + 1, "one batch, synced");
    }
}

#[test]
fn a_torn_record_is_no_block() {
    tear_the_last_record(101);
}

#[test]
#[ignore = "minutes long"]
fn a_record_torn_at_every_byte_is_no_block() {
    tear_the_last_record(1);
}

/// Tells the test binary that it is the process whose disk is full.
const FULL: &str = "PLASMA_FULL_TEST_HOME";
/// After so many blocks it stops by itself.
const FULL_BLOCKS: &str = "PLASMA_FULL_TEST_BLOCKS";

/// Runs only as a child: commits blocks until the disk is full.
#[test]
fn full_child() {
    let Some(home) = std::env::var_os(FULL) else { return };
    let blocks: i64 = std::env::var(FULL_BLOCKS).unwrap().parse().unwrap();
    let bench = Bench::open(Path::new(&home));
    let (height, hash) = bench.info();
    println!("\nopened {height} {}", hex::encode(hash));
    if height == 0 {
        bench.init();
    } else {
        bench.node.check().unwrap();
    }
    for height in height + 1..=height + blocks {
        let done = bench.block(height, &block(height));
        println!("\ncommitted {height} {}", hex::encode(done.app_hash));
    }
}

/// The last line that begins so.
fn last_line<'a>(text: &'a str, begin: &str) -> &'a str {
    text.lines().rev().find_map(|line| line.strip_prefix(begin)).unwrap_or_default()
}

/// A disk that takes no more: the node stops with its status, and goes on where it was once there
/// is room. Here a file may not grow, which needs no rights.
#[test]
fn a_full_disk_stops_the_node_between_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let test = std::env::current_exe().unwrap();
    let run = |shell: &str, blocks: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{shell} exec \"$0\" full_child --exact --nocapture")]);
        let output = command.arg(&test).env(FULL, dir.path()).env(FULL_BLOCKS, blocks);
        let output = output.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (status, said) = run("trap '' XFSZ; ulimit -f 600;", "5000");
    assert_eq!(status, Some(plasma_app::rocks::EXIT_DISK), "{said}");
    let last = last_line(&said, "committed ");
    assert!(!last.is_empty(), "{said}");
    let (status, said) = run("", "3");
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(last_line(&said, "opened "), last);
}

/// The same on a file system of 64 MiB. Where nobody may mount one, the test above must do.
#[test]
fn a_full_file_system_stops_the_node_between_blocks() {
    const SCRIPT: &str = "mount -t tmpfs -o size=64m tmpfs \"$1\" || exit 99
        dd if=/dev/zero of=\"$1/ballast\" bs=1M count=62 2>/dev/null
        PLASMA_FULL_TEST_BLOCKS=5000 \"$2\" full_child --exact --nocapture
        s=$?; echo; echo \"status $s\"
        rm \"$1/ballast\"
        PLASMA_FULL_TEST_BLOCKS=3 \"$2\" full_child --exact --nocapture; s=$?
        umount \"$1\"; exit $s";
    let dir = tempfile::tempdir().unwrap();
    let test = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", SCRIPT, "sh"]).arg(dir.path()).arg(test);
    let Ok(output) = command.env(FULL, dir.path()).output() else { return };
    if output.status.code() == Some(99) || output.stdout.is_empty() {
        println!("nothing can be mounted here: {}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (first, second) = said.split_once("status ").unwrap();
    let status = plasma_app::rocks::EXIT_DISK.to_string();
    assert_eq!(second.lines().next(), Some(&status[..]), "{said}");
    assert_eq!(output.status.code(), Some(0), "{said}");
    let last = last_line(first, "committed ");
    assert!(!last.is_empty() && last_line(second, "opened ") == last, "{said}");
}

/// Tells the test binary that it is the process to be killed while it does everything at once.
const BUSY: &str = "PLASMA_BUSY_TEST_HOME";

fn busy(home: &Path) -> Bench {
    let upkeep = Upkeep {
        snapshot_blocks: 3,
        snapshots_kept: 2,
        scrub_at_start: true,
        scrub_blocks: 4,
        ..Upkeep::default()
    };
    Bench::open_with(home, Keep { recent: 5, cache_bytes: 1 << 20, ..Keep::default() }, upkeep)
}

/// Runs only as a child: commits blocks, prunes, makes snapshots and scrubs until it is killed.
#[test]
fn busy_child() {
    let Some(home) = std::env::var_os(BUSY) else { return };
    let bench = busy(Path::new(&home));
    let (height, _) = bench.info();
    if height == 0 {
        bench.init();
    }
    for height in height + 1.. {
        let done = bench.block(height, &block(height));
        println!("\ncommitted {height} {}", hex::encode(done.app_hash));
    }
}

fn kill_while_busy(rounds: u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut snapshots = 0;
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["busy_child", "--exact", "--nocapture"])
            .env(BUSY, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let lines = std::thread::spawn(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            lines.filter(|line| line.starts_with("committed ")).last()
        });
        // Spread over the steps of a block and of a snapshot.
        let micros = 150_000 + round.wrapping_mul(7_919_017) % 400_000;
        std::thread::sleep(std::time::Duration::from_micros(micros));
        child.kill().unwrap();
        child.wait().unwrap();
        let last = lines.join().unwrap();
        let bench = busy(dir.path());
        let (height, hash) = bench.info();
        if let Some(last) = last {
            let mut last = last.split(' ').skip(1);
            let told: i64 = last.next().unwrap().parse().unwrap();
            // The last block may be on disk without having been told.
            assert!(height == told || height == told + 1, "{height}, told {told}");
            assert!(height != told || last.next() == Some(&hex::encode(&hash)));
        }
        if height == 0 {
            continue;
        }
        bench.node.check().unwrap();
        for snapshot in bench.node.snapshots() {
            let metadata = SnapshotMetadata::decode(&snapshot.metadata[..]).unwrap();
            for (index, wanted) in (0..).zip(&metadata.chunk_sha256) {
                let chunk = bench.node.snapshot_chunk(snapshot.height, snapshot.format, index);
                assert_eq!(Sha256::digest(chunk.unwrap())[..], wanted[..]);
            }
            snapshots += 1;
        }
        let names = std::fs::read_dir(dir.path().join("snapshots")).into_iter().flatten();
        let left = names.filter(|entry| {
            entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("tmp-")
        });
        assert_eq!(left.count(), 0);
    }
    assert!(snapshots > 0);
}

#[test]
fn a_busy_node_is_killed_and_comes_back() {
    kill_while_busy(6);
}

#[test]
#[ignore = "minutes long"]
fn a_busy_node_is_killed_two_hundred_times_and_comes_back() {
    kill_while_busy(200);
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
