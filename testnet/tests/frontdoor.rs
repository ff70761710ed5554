//! The front door with real processes: clients see CometBFT's RPC, and validators agree.

mod socket;

use std::{
    collections::{HashMap, HashSet},
    fs, thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_app::{config::Config, files::NodeFiles};
use plasma_modules::{carrier, tx};
use plasma_testnet::{
    comet::{Network, NetworkSpec},
    load::{self, Accounts, Flow, Load, Sent},
    process::Programs,
};
use reqwest::blocking::Client;
use serde_json::{Value, json};
use socket::Socket;

const CHAIN_ID: &str = "plasma-door-1";
const PATIENCE: Duration = Duration::from_secs(180);

fn spec(home: &std::path::Path, port_base: u16, accounts: &Accounts) -> NetworkSpec {
    NetworkSpec {
        home: home.into(),
        chain_id: CHAIN_ID.into(),
        validators: 1,
        accounts: accounts.genesis(),
        port_base,
        timeout_commit: "300ms".into(),
        set: Vec::new(),
    }
}

fn open_door(node: &NodeFiles) -> anyhow::Result<()> {
    let mut config = Config::load(&node.home)?;
    config.frontdoor.enabled = true;
    Ok(fs::write(node.home.join("plasma.toml"), config.text())?)
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

fn post(client: &Client, url: &str, body: &Value) -> Value {
    client.post(url).json(body).send().unwrap().json().unwrap()
}

fn call(method: &str, tx: &[u8]) -> Value {
    let params = json!({ "tx": STANDARD.encode(tx) });
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
}

fn keys(value: &Value) -> Vec<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

fn over_websocket(url: &str, request: &str) -> String {
    let mut socket = Socket::open(url);
    socket.send(request);
    socket.read()
}

#[test]
fn clients_see_cometbfts_rpc() {
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::of_chain().unwrap();
    let accounts = Accounts::new(4, 1).unwrap();
    let network =
        Network::up_with(&spec(dir.path(), 28_300, &accounts), &programs, open_door).unwrap();
    let urls = network.validators[0].urls.clone();
    let (stock, door) = (urls.rpc.clone(), urls.frontdoor.clone().unwrap());
    let client = Client::new();
    let transfer = |index, sequence| accounts.transfer(CHAIN_ID, index, sequence);

    // Taken: the same fields on both paths.
    let by_stock = post(&client, &stock, &call("broadcast_tx_sync", &transfer(0, 0)));
    let tx = transfer(1, 0);
    let by_door = post(&client, &door, &call("broadcast_tx_sync", &tx));
    assert_eq!((&by_door["id"], &by_door["result"]["code"]), (&json!(7), &json!(0)), "{by_door}");
    assert_eq!(by_door["result"]["hash"], tx::hash(&tx));
    assert_eq!(keys(&by_stock), keys(&by_door));
    assert_eq!(keys(&by_stock["result"]), keys(&by_door["result"]));
    // Sent again: the same error.
    let by_stock = post(&client, &stock, &call("broadcast_tx_sync", &transfer(0, 0)));
    let by_door = post(&client, &door, &call("broadcast_tx_sync", &tx));
    assert_eq!(by_stock, by_door);
    assert_eq!(by_door["error"]["data"], "tx already exists in cache");
    // Refused by a rule: the same reply but for the hash's transaction.
    let bad = transfer(2, 5);
    let by_stock = post(&client, &stock, &call("broadcast_tx_sync", &bad));
    let by_door = post(&client, &door, &call("broadcast_tx_sync", &bad));
    assert_eq!(by_stock, by_door);
    assert_eq!(by_door["result"]["code"], 32, "{by_door}");
    // Without transaction, with a broken one, and too large.
    for params in [
        json!({}),
        json!({ "tx": "?" }),
        json!([]),
        json!({ "tx": STANDARD.encode(vec![10; 300_000]) }),
    ] {
        let body =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "broadcast_tx_sync", "params": params });
        let (by_stock, by_door) = (post(&client, &stock, &body), post(&client, &door, &body));
        assert_eq!(by_stock["error"]["code"], by_door["error"]["code"], "{by_stock} {by_door}");
        assert_eq!(by_stock["result"]["code"], by_door["result"]["code"], "{by_stock} {by_door}");
    }

    // Waiting for the block.
    let by_stock = post(&client, &stock, &call("broadcast_tx_commit", &transfer(2, 0)));
    let by_door = post(&client, &door, &call("broadcast_tx_commit", &transfer(3, 0)));
    assert_eq!(by_door["result"]["tx_result"]["code"], 0, "{by_door}");
    assert_eq!(keys(&by_stock["result"]), keys(&by_door["result"]));
    for part in ["check_tx", "tx_result"] {
        assert_eq!(keys(&by_stock["result"][part]), keys(&by_door["result"][part]), "{part}");
    }
    assert!(by_door["result"]["height"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    let refused = transfer(3, 9);
    let by_stock = post(&client, &stock, &call("broadcast_tx_commit", &refused));
    let by_door = post(&client, &door, &call("broadcast_tx_commit", &refused));
    assert_eq!(by_stock, by_door);

    // By URI.
    let tx = transfer(3, 1);
    let digits: String = tx.iter().map(|byte| format!("{byte:02x}")).collect();
    let uri = |base: &str| format!("{base}/broadcast_tx_async?tx=0x{digits}");
    let answer = client.get(uri(&door)).send().unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().unwrap();
    assert_eq!((&answer["id"], &answer["result"]["code"]), (&json!(-1), &json!(0)), "{answer}");
    let again = client.get(uri(&door)).send().unwrap();
    assert_eq!(again.status(), 500);

    // A batch of ours and of CometBFT's; what asks for no answer gets none.
    let status = json!({ "jsonrpc": "2.0", "id": "s", "method": "status" });
    let mut silent = call("broadcast_tx_sync", &transfer(3, 2));
    silent.as_object_mut().unwrap().remove("id");
    let batch = json!([status, silent, call("broadcast_tx_sync", &transfer(3, 3))]);
    let answers = post(&client, &door, &batch);
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert_eq!((&answers[0]["id"], &answers[1]["id"]), (&json!("s"), &json!(7)));
    assert_eq!(answers[0]["result"]["node_info"]["network"], CHAIN_ID);
    assert_eq!(answers[1]["result"]["code"], 0);

    // Everything else as it is: JSON-RPC, URIs, errors, WebSocket.
    for path in ["block?height=1", "genesis", "health", "no_such_call", "block?height=-1", ""] {
        let get = |base: &str| {
            let answer = client.get(format!("{base}/{path}")).send().unwrap();
            (answer.status(), answer.headers().get("content-type").cloned(), answer.text().unwrap())
        };
        let (by_stock, by_door) = (get(&stock), get(&door));
        if path.is_empty() {
            // The list of calls names the host.
            assert_eq!(by_stock.0, by_door.0);
        } else {
            assert_eq!(by_stock, by_door, "{path}");
        }
    }
    let header =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "header", "params": { "height": "1" } });
    assert_eq!(post(&client, &stock, &header), post(&client, &door, &header));
    let health = r#"{"jsonrpc":"2.0","id":3,"method":"health"}"#;
    assert_eq!(over_websocket(&door, health), over_websocket(&stock, health));

    // All that was taken is in blocks.
    for (index, sequence) in [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (3, 2), (3, 3)] {
        let hash = tx::hash(&transfer(index, sequence));
        until("a block", || {
            let answer = client.get(format!("{stock}/tx?hash=0x{hash}")).send().unwrap();
            answer.json::<Value>().unwrap()["result"]["height"].as_str().map(str::to_owned)
        });
    }
}

/// Hashes of every transaction by height, from one node; without the blocks' own entries.
fn all_blocks(client: &Client, url: &str, to: u64) -> Vec<Vec<String>> {
    let block = |height: u64| {
        let block: Value =
            client.get(format!("{url}/block?height={height}")).send().unwrap().json().unwrap();
        let txs = block["result"]["block"]["data"]["txs"].as_array().cloned().unwrap_or_default();
        let tx = |tx: &Value| {
            let bytes = STANDARD.decode(tx.as_str().unwrap()).unwrap();
            assert!(!carrier::is_carrier(&bytes), "block {height} holds a carrier");
            (bytes[0] != tx::INJECTED_TX_PREFIX).then(|| tx::hash(&bytes))
        };
        txs.iter().filter_map(tx).collect()
    };
    (1..=to).map(block).collect()
}

/// Two front doors under load at once, a small sender at a third, a node killed in the middle. Blocks
/// are small, so carriers are split. About a minute: `make test-long`.
#[test]
#[ignore = "about a minute"]
fn four_validators_agree_on_what_carriers_bring() {
    /// Gas of a block: 300 transfers.
    const BLOCK_TXS: usize = 300;
    const SENDERS: usize = 300;
    const EACH: usize = 20;
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::of_chain().unwrap();
    let accounts = Accounts::new(SENDERS + 1, 1).unwrap();
    let mut spec = spec(dir.path(), 28_400, &accounts);
    spec.validators = 4;
    spec.set.push(format!("token.block_gas_max={}", BLOCK_TXS * 100_000));
    let mut network = Network::up_with(&spec, &programs, |node| {
        let comet = node.home.join("cometbft/config/config.toml");
        let text = fs::read_to_string(&comet)?;
        fs::write(&comet, text.replacen("[rpc]\n", "[rpc]\nmax_request_batch_size = 100\n", 1))?;
        open_door(node)
    })
    .unwrap();
    let doors: Vec<String> =
        network.validators.iter().map(|node| node.urls.frontdoor.clone().unwrap()).collect();
    let stock: Vec<String> = network.validators.iter().map(|node| node.urls.rpc.clone()).collect();
    let mut signed = accounts.sign(CHAIN_ID, EACH).unwrap();
    // The last account sends little, by itself.
    signed.pop();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = Client::new();
    let flow = |urls: &[String], batch| Flow {
        urls: urls.to_vec(),
        watch: stock[0].clone(),
        method: "broadcast_tx_sync",
        batch,
        connections: 4,
        duration: PATIENCE,
        room: None,
    };
    // Most by two front doors, some by the stock path of a third node.
    let by_stock = signed.split_off(SENDERS - 20);
    let run = |flow: Flow, signed: Vec<Vec<Vec<u8>>>| {
        load::run(&runtime, &flow, Load::new(&flow, &signed, true)).unwrap()
    };
    let (sent, mixed, small, carried) = thread::scope(|scope| {
        let flood = scope.spawn(|| run(flow(&doors[..2], 50), signed));
        let mixed = scope.spawn(|| run(flow(&stock[2..3], 1), by_stock));
        let small = scope.spawn(|| {
            let flow = flow(&doors[2..3], 1);
            load::one_at_a_time(&runtime, &flow, &accounts, CHAIN_ID, SENDERS, 2).unwrap()
        });
        // Mempools hold few large messages, not many small ones.
        let carried = until("carriers in a mempool", || {
            let answer: Value =
                client.get(format!("{}/num_unconfirmed_txs", stock[0])).send().ok()?.json().ok()?;
            let number = |field: &str| answer["result"][field].as_str()?.parse::<u64>().ok();
            let (txs, bytes) = number("n_txs").zip(number("total_bytes"))?;
            (txs > 0 && bytes > 200_000).then(|| bytes / txs)
        });
        network.validators[3].kill();
        thread::sleep(Duration::from_secs(4));
        network.validators[3].restart().unwrap();
        (flood.join().unwrap(), mixed.join().unwrap(), small.join().unwrap(), carried)
    });
    assert!(carried > 1_000, "{carried} bytes a message: not carriers");
    let hashes = |sent: &Sent| sent.samples.iter().map(|(hash, _)| hash.clone()).collect();
    let (flooded, by_stock): (Vec<String>, Vec<String>) = (hashes(&sent), hashes(&mixed));
    let taken: HashSet<String> = flooded.iter().chain(&by_stock).cloned().collect();
    assert_eq!((sent.refused, mixed.refused), (0, 0), "{:?} {:?}", sent.reason, mixed.reason);
    assert_eq!(taken.len(), SENDERS * EACH);
    println!("small sender: {small:?}; {} + {} sent again", sent.full, mixed.full);

    // Everything that was taken is in exactly one block.
    let mut height = 0;
    let mut blocks = Vec::new();
    until("every transaction", || {
        height = network.validators[0].height().ok()?;
        blocks = all_blocks(&client, &stock[0], height);
        let included: HashSet<&String> = blocks.iter().flatten().collect();
        thread::sleep(Duration::from_millis(500));
        taken.iter().all(|hash| included.contains(hash)).then_some(())
    });
    let mut times = HashMap::new();
    for hash in blocks.iter().flatten() {
        *times.entry(hash.clone()).or_insert(0) += 1;
    }
    assert_eq!(times.len(), SENDERS * EACH + 2);
    assert!(times.values().all(|count| *count == 1));
    // Blocks were full, so carriers with more transactions than one takes were split.
    assert!(blocks.iter().all(|txs| txs.len() <= BLOCK_TXS));
    assert!(blocks.iter().filter(|txs| txs.len() == BLOCK_TXS).count() > 3);
    // The small sender got in while the flood lasted.
    let last_small = tx::hash(&accounts.transfer(CHAIN_ID, SENDERS, 0));
    let at = |hash: &String| blocks.iter().position(|txs| txs.contains(hash));
    let last_flood = flooded.iter().filter_map(at).max();
    assert!(at(&last_small) <= last_flood, "{:?} {last_flood:?}", at(&last_small));
    // All nodes agree, the one that was killed too.
    network.wait_for_block(height + 1).unwrap();
    let hashes: Vec<Value> = stock
        .iter()
        .map(|url| {
            let url = format!("{url}/header?height={}", height + 1);
            let header: Value = client.get(url).send().unwrap().json().unwrap();
            header["result"]["header"]["app_hash"].clone()
        })
        .collect();
    assert!(hashes[0].is_string() && hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
    // No proposal was rejected, and nothing is left over.
    for node in &network.validators {
        let log = fs::read_to_string(node.home.join("logs/plasmad.log")).unwrap();
        assert!(!log.contains("proposal rejected"), "{}", node.home.display());
    }
    until("empty mempools", || {
        stock
            .iter()
            .all(|url| {
                let answer = client.get(format!("{url}/num_unconfirmed_txs")).send();
                answer
                    .ok()
                    .and_then(|answer| answer.json::<Value>().ok())
                    .is_some_and(|answer| answer["result"]["n_txs"] == "0")
            })
            .then_some(())
    });
}
