//! `xpl --prove` on a real chain, and against a node that lies: a proxy in front of the real one
//! changes its answers.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use plasma_app::files::GenesisAccount;
use plasma_proto::plasma::proof::v1::{
    BalanceKey, QueryProofRequest, QueryProofResponse, query_proof_request::Object,
};
use plasma_testnet::{
    comet::{Network, NetworkSpec, Urls},
    process::Programs,
    rig::{Rig, Weights, Xpl},
};
use prost::Message;
use serde_json::{Value, json};

const XPL: u128 = 1_000_000;
/// Exit codes of `xpl`.
const REFUSED: i32 = 1;
const UNREACHABLE: i32 = 3;
const UNPROVEN: i32 = 5;

/// A base of free ports, far from those of other tests.
fn free_ports() -> u16 {
    let pid = u16::try_from(std::process::id() % 1_000).unwrap();
    (0..100)
        .map(|n| 33_000 + (pid * 20 + n * 40) % 20_000)
        .find(|base| (0..40).all(|n| TcpListener::bind(("127.0.0.1", base + n)).is_ok()))
        .unwrap()
}

/// Changes a call's parameters before it is passed on, or its result after.
trait Lie: Fn(&str, &mut Value, &mut Value) + Send + Sync + 'static {}
impl<F: Fn(&str, &mut Value, &mut Value) + Send + Sync + 'static> Lie for F {}

/// A proxy before the RPC at `real`. `lie` is called twice per call: with the parameters and null,
/// then with the parameters and the whole answer.
fn liar(real: &str, lie: impl Lie) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (real, lie) = (real.to_owned(), Arc::new(lie));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (real, lie) = (real.clone(), Arc::clone(&lie));
            thread::spawn(move || {
                let _ = pass(stream.unwrap(), &real, &*lie);
            });
        }
    });
    url
}

fn pass(mut stream: TcpStream, real: &str, lie: &impl Lie) -> Option<()> {
    let mut bytes = Vec::new();
    let (head, mut body) = loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&part[..count]);
        if let Some(at) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            break (String::from_utf8_lossy(&bytes[..at]).to_lowercase(), bytes.split_off(at + 4));
        }
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
    let length: usize = length.trim().parse().unwrap();
    while body.len() < length {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
        body.extend_from_slice(&part[..count]);
    }
    let mut call: Value = serde_json::from_slice(&body).unwrap();
    let method = call["method"].as_str().unwrap().to_owned();
    lie(&method, &mut call["params"], &mut Value::Null);
    let answer = reqwest::blocking::Client::new()
        .post(real)
        .header("content-type", "application/json")
        .body(call.to_string())
        .send()
        .ok()?;
    let mut answer: Value = answer.json().ok()?;
    lie(&method, &mut call["params"], &mut answer);
    let text = answer.to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    stream
        .write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n{text}", text.len()).as_bytes())
        .ok()
}

/// A lie about answers to `wanted` alone.
fn about(wanted: &'static str, lie: impl Fn(&mut Value) + Send + Sync + 'static) -> impl Lie {
    move |method: &str, _: &mut Value, answer: &mut Value| {
        if method == wanted && !answer.is_null() {
            lie(&mut answer["result"]);
        }
    }
}

/// A lie about a proof.
fn about_proofs(lie: impl Fn(&mut QueryProofResponse) + Send + Sync + 'static) -> impl Lie {
    about("abci_query", move |result| {
        let value = STANDARD.decode(result["response"]["value"].as_str().unwrap()).unwrap();
        let mut proof = QueryProofResponse::decode(&value[..]).unwrap();
        lie(&mut proof);
        result["response"]["value"] = STANDARD.encode(proof.encode_to_vec()).into();
    })
}

/// Runs `xpl` against a node; exit code, standard output, standard error.
fn run(xpl: &Xpl, node: &str, args: &[&str]) -> (i32, Value, String) {
    let urls =
        Urls { rpc: node.into(), rest: String::new(), grpc: "127.0.0.1:1".into(), frontdoor: None };
    let output = xpl.clone().at(&urls).command(args).args(["--output", "json"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), json, text)
}

fn spec(home: &Path, port_base: u16) -> NetworkSpec {
    NetworkSpec {
        home: home.into(),
        chain_id: "plasma-proofs-1".into(),
        validators: 2,
        accounts: Vec::new(),
        port_base,
        timeout_commit: "200ms".into(),
        set: Vec::new(),
    }
}

fn header_hash(rpc: &str, height: u64) -> String {
    let answer: Value =
        reqwest::blocking::get(format!("{rpc}/commit?height={height}")).unwrap().json().unwrap();
    answer["result"]["signed_header"]["commit"]["block_id"]["hash"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_proven_holds_and_lies_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let xpl = Xpl::new(&programs, &dir.path().join("xpl"));
    let alice = xpl.add_key("alice").unwrap();
    let bob = xpl.add_key("bob").unwrap();
    let ports = free_ports();
    let rig = Rig::prepare(&programs, &xpl, dir.path(), 0, ports + 30).unwrap();
    let mut spec = spec(dir.path(), ports);
    spec.accounts.push(GenesisAccount { address: alice.clone(), amount_uxpl: 100 * XPL });
    spec.accounts.extend(rig.accounts());
    let mut network = Network::up(&spec, &programs).unwrap();
    let urls = network.validators[0].urls.clone();
    let rpc = urls.rpc.clone();
    let honest = xpl.clone().at(&urls);
    let model = rig.register(&honest, &urls, &Weights::Tiny).unwrap();
    honest.json(&["job", "submit", "--from", "alice", "--model", &model, "hello"]).unwrap();
    let height = network.validators[0].height().unwrap();
    network.wait_for_block(height + 2).unwrap();

    // The truth: first with a node's word for the root, then from it.
    let balance = ["bank", "balance", "alice", "--prove"];
    let (code, first, said) = run(&xpl, &rpc, &balance);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("no block of plasma-proofs-1 is trusted yet"), "{said}");
    let (code, proven, said) = run(&xpl, &rpc, &balance);
    assert_eq!((code, &said[..]), (0, ""));
    let told = honest.json(&["bank", "balance", "alice"]).unwrap();
    assert_eq!(proven["balance_uxpl"], told["balance_uxpl"]);
    let proof = &proven["proof"];
    assert_eq!(proof["root_height"], first["proof"]["header_height"]);
    assert_eq!((&proof["validators"], &proof["trusted_on_first_use"]), (&2.into(), &true.into()));
    let at = proof["header_height"].as_u64().unwrap();
    assert_eq!(proof["header_hash"], header_hash(&rpc, at));
    let (code, empty, _) = run(&xpl, &rpc, &["bank", "balance", "bob", "--prove"]);
    assert_eq!((code, &empty["balance_uxpl"]), (0, &"0".into()), "absence is proven too");
    let (_, job, said) = run(&xpl, &rpc, &["job", "show", "1", "--prove"]);
    assert_eq!(job["job"]["requester"], alice, "{said}");
    assert_eq!(job["payload"]["input"], "hello");
    let (code, _, said) = run(&xpl, &rpc, &["job", "show", "99", "--prove"]);
    assert_eq!(code, REFUSED, "{said}");
    assert!(said.contains("proven: after block"), "{said}");
    let (_, provider, said) =
        run(&xpl, &rpc, &["provider", "show", &rig.operator_address, "--prove"]);
    assert_eq!(provider["provider"]["operator"], rig.operator_address, "{said}");
    assert_eq!(provider["offers"].as_array().unwrap().len(), 1);
    let (_, shown, said) = run(&xpl, &rpc, &["model", "show", &model, "--prove"]);
    assert!(shown["proof"]["app_hash"].is_string(), "{said}");
    let (_, status, _) = run(&xpl, &rpc, &["light", "status"]);
    assert_eq!(status["plasma-proofs-1"]["fresh"], true, "{status}");

    // A root of one's own; another validator's node tells the same.
    let hash = header_hash(&rpc, 2);
    let other = &network.validators[1].urls.rpc;
    let root = ["--trust-height", "2", "--trust-hash", &hash];
    let (code, proven, said) = run(&xpl, other, &[&balance[..], &root].concat());
    assert_eq!((code, &proven["proof"]["root_height"]), (0, &2.into()), "{said}");
    let wrong = ["--trust-height", "3", "--trust-hash", &hash];
    assert_eq!(run(&xpl, &rpc, &[&balance[..], &wrong].concat()).0, UNPROVEN);
    assert_eq!(run(&xpl, &rpc, &["light", "init", "--height", "3", "--hash", &hash]).0, UNPROVEN);
    assert_eq!(run(&xpl, &rpc, &["light", "init", "--height", "2", "--hash", &hash]).0, 0);

    // A block before the newest verified one is found by the chain of hashes.
    run(&xpl, &rpc, &balance);
    let behind = liar(
        &rpc,
        about("status", |result| {
            let height: u64 = text(&result["sync_info"]["latest_block_height"]).parse().unwrap();
            result["sync_info"]["latest_block_height"] = (height - 5).to_string().into();
        }),
    );
    let (code, _, said) = run(&xpl, &behind, &balance);
    assert_eq!(code, 0, "{said}");

    // Lies. Every one starts from a trusted root.
    let alice_ = alice.clone();
    let (real, bob_) = (rpc.clone(), bob.clone());
    let lies: Vec<(&str, String)> = vec![
        (
            "another value",
            liar(
                &rpc,
                about_proofs(|proof| {
                    let value = proof.value.as_mut().unwrap();
                    *value.last_mut().unwrap() ^= 1;
                }),
            ),
        ),
        ("absent", liar(&rpc, about_proofs(|proof| proof.value = None))),
        ("no proof", liar(&rpc, about_proofs(|proof| proof.proof_ops = None))),
        (
            "half a proof",
            liar(
                &rpc,
                about_proofs(|proof| {
                    proof.proof_ops.as_mut().unwrap().ops.pop();
                }),
            ),
        ),
        (
            "a changed proof",
            liar(
                &rpc,
                about_proofs(|proof| {
                    let data = &mut proof.proof_ops.as_mut().unwrap().ops[0].data;
                    let middle = data.len() / 2;
                    data[middle] ^= 1;
                }),
            ),
        ),
        (
            "another store",
            liar(
                &rpc,
                about_proofs(|proof| {
                    let ops = &mut proof.proof_ops.as_mut().unwrap().ops;
                    ops[1].data = ops[0].data.clone();
                }),
            ),
        ),
        (
            "another's money",
            liar(&rpc, move |method: &str, params: &mut Value, answer: &mut Value| {
                if method == "abci_query" && answer.is_null() {
                    let object =
                        Object::Balance(BalanceKey { address: bob_.clone(), denom: "uxpl".into() });
                    let wanted = QueryProofRequest { object: Some(object) }.encode_to_vec();
                    let asked = params["data"].as_str().unwrap();
                    assert_ne!(asked.to_lowercase(), hex(&wanted), "alice is asked for");
                    params["data"] = hex(&wanted).into();
                }
            }),
        ),
        (
            "another state",
            liar(&rpc, |method: &str, params: &mut Value, answer: &mut Value| {
                if method == "abci_query" && answer.is_null() {
                    let height: u64 = text(&params["height"]).parse().unwrap();
                    params["height"] = (height - 1).to_string().into();
                }
            }),
        ),
        (
            "another app hash",
            liar(
                &rpc,
                about("commit", |result| {
                    result["signed_header"]["header"]["app_hash"] = "AB".repeat(32).into();
                }),
            ),
        ),
        (
            "another chain in the header",
            liar(
                &rpc,
                about("commit", |result| {
                    result["signed_header"]["header"]["chain_id"] = "plasma-other".into();
                }),
            ),
        ),
        (
            "another chain in the status",
            liar(
                &rpc,
                about("status", |result| {
                    result["node_info"]["network"] = "plasma-other".into();
                }),
            ),
        ),
        (
            "another chain everywhere",
            liar(&rpc, |method: &str, _: &mut Value, answer: &mut Value| {
                let result = &mut answer["result"];
                match method {
                    "status" => result["node_info"]["network"] = "plasma-other".into(),
                    "commit" => {
                        result["signed_header"]["header"]["chain_id"] = "plasma-other".into()
                    }
                    _ => {}
                }
            }),
        ),
        (
            "another block",
            liar(&rpc, |method: &str, params: &mut Value, answer: &mut Value| {
                if method == "commit" && answer.is_null() {
                    let height: u64 = text(&params["height"]).parse().unwrap();
                    params["height"] = (height - 1).to_string().into();
                }
            }),
        ),
        (
            "a false signature",
            liar(
                &rpc,
                about("commit", |result| {
                    let signatures = &mut result["signed_header"]["commit"]["signatures"];
                    for one in signatures.as_array_mut().unwrap() {
                        one["signature"] = STANDARD.encode([1; 64]).into();
                    }
                }),
            ),
        ),
        (
            "too few signatures",
            liar(
                &rpc,
                about("commit", |result| {
                    let signatures = &mut result["signed_header"]["commit"]["signatures"];
                    signatures[0] = json!({
                        "block_id_flag": 1,
                        "validator_address": "",
                        "timestamp": "0001-01-01T00:00:00Z",
                        "signature": null,
                    });
                }),
            ),
        ),
        (
            "other powers",
            liar(
                &rpc,
                about("validators", |result| {
                    result["validators"][0]["voting_power"] = "9999999".into();
                }),
            ),
        ),
        (
            "other keys",
            liar(
                &rpc,
                about("validators", |result| {
                    result["validators"][0]["pub_key"]["value"] = STANDARD.encode([3; 32]).into();
                }),
            ),
        ),
        (
            "no header",
            liar(
                &rpc,
                about("commit", |result| {
                    result["signed_header"]["header"]["time"] = "yesterday".into();
                }),
            ),
        ),
    ];
    let before = fs::read_to_string(xpl.home.join("light.toml")).unwrap();
    for (lie, node) in &lies {
        let (code, result, said) = run(&xpl, node, &balance);
        assert_eq!((code, result), (UNPROVEN, Value::Null), "{lie}: {said}");
        let error: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        assert_eq!(error["error"]["code"], UNPROVEN, "{lie}: {said}");
    }
    let after = fs::read_to_string(xpl.home.join("light.toml")).unwrap();
    let chains = |text: &str| text.matches("[chains.").count();
    assert_eq!(chains(&before), chains(&after), "a lie is never remembered");
    // The same proxy without a lie, so that it is the lies that were found.
    assert_eq!(run(&xpl, &liar(&real, about("none", |_| {})), &balance).0, 0, "{alice_}");
    let (code, _, said) = run(&xpl, &real, &balance);
    assert_eq!(code, 0, "{said}");

    // Nobody answering is another failure.
    assert_eq!(run(&xpl, "http://127.0.0.1:1", &balance).0, UNREACHABLE);
    let broken = liar(&rpc, |method: &str, _: &mut Value, answer: &mut Value| {
        if method == "commit" && !answer.is_null() {
            *answer = json!({"jsonrpc": "2.0", "id": answer["id"], "error": {"code": -32603, "message": "Internal error", "data": "height 9 is not available"}});
        }
    });
    assert_eq!(run(&xpl, &broken, &balance).0, UNREACHABLE);
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
