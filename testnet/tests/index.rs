//! plasmad's own index beside CometBFT's, on one real chain: the same questions, the same answers.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_app::config::Config;
use plasma_modules::tx;
use plasma_testnet::{
    comet::{Network, NetworkSpec},
    load::Accounts,
    process::Programs,
};
use reqwest::blocking::Client;
use serde_json::{Value, json};

const CHAIN_ID: &str = "plasma-index-1";
const PATIENCE: Duration = Duration::from_secs(60);

fn network(home: &Path, port_base: u16, accounts: &Accounts, alone: bool) -> Network {
    let spec = NetworkSpec {
        home: home.into(),
        chain_id: CHAIN_ID.into(),
        validators: 1,
        accounts: accounts.genesis(),
        port_base,
        timeout_commit: "300ms".into(),
        set: Vec::new(),
    };
    let programs = Programs::of_chain().unwrap();
    let network = Network::up_with(&spec, &programs, |node| {
        let mut config = Config::load(&node.home)?;
        config.frontdoor.enabled = true;
        config.index.enabled = true;
        config.index.subscriptions = !alone;
        fs::write(node.home.join("plasma.toml"), config.text())?;
        if alone {
            let path = node.home.join("cometbft/config/config.toml");
            let text = fs::read_to_string(&path)?
                .replace(r#"indexer = "kv""#, r#"indexer = "null""#)
                .replace("discard_abci_responses = false", "discard_abci_responses = true");
            fs::write(&path, text)?;
        }
        Ok(())
    });
    network.unwrap()
}

fn call(client: &Client, url: &str, method: &str, params: Value) -> Value {
    let body = json!({ "jsonrpc": "2.0", "id": 5, "method": method, "params": params });
    client.post(url).json(&body).send().unwrap().json().unwrap()
}

/// Sends transfers in turn and waits until each is in a block: their hashes and heights.
fn send(client: &Client, url: &str, accounts: &Accounts, each: u64) -> Vec<(String, u64)> {
    let mut sent = Vec::new();
    for sequence in 0..each {
        for index in 0..accounts.len() {
            let tx = accounts.transfer(CHAIN_ID, index, sequence);
            let params = json!({ "tx": STANDARD.encode(&tx) });
            let answer = call(client, url, "broadcast_tx_sync", params);
            assert_eq!(answer["result"]["code"], 0, "{answer}");
            sent.push(tx);
        }
    }
    let end = Instant::now() + PATIENCE;
    let height = |tx: &Vec<u8>| loop {
        let answer = client.get(format!("{url}/tx?hash=0x{}", tx::hash(tx))).send().unwrap();
        let answer: Value = answer.json().unwrap();
        if let Some(height) = answer["result"]["height"].as_str() {
            return height.parse().unwrap();
        }
        assert!(Instant::now() < end, "{answer}");
        thread::sleep(Duration::from_millis(100));
    };
    sent.iter().map(|tx| (tx::hash(tx), height(tx))).collect()
}

#[test]
fn the_index_answers_as_cometbfts_own() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = Accounts::new(5, 1).unwrap();
    let network = network(dir.path(), 28_800, &accounts, false);
    let urls = &network.validators[0].urls;
    let (stock, door) = (urls.rpc.clone(), urls.frontdoor.clone().unwrap());
    let client = Client::new();
    let sent = send(&client, &stock, &accounts, 3);
    let last = sent.iter().map(|(_, height)| *height).max().unwrap();
    // Both have indexed all of it.
    thread::sleep(Duration::from_millis(600));

    let address = |index: usize| accounts.wallet(index).address().text();
    let height = sent[4].1;
    let hash = STANDARD.encode(
        (0..32)
            .map(|at| u8::from_str_radix(&sent[4].0[2 * at..2 * at + 2], 16).unwrap())
            .collect::<Vec<_>>(),
    );
    let other = STANDARD.encode([7; 32]);
    let one_of = |query: &str| json!({ "query": query, "per_page": "4", "page": "1" });
    let both = format!("transfer.sender='{}' AND transfer.recipient='{}'", address(0), address(1));
    let mut questions = vec![
        ("tx", json!({ "hash": hash })),
        ("tx", json!({ "hash": hash, "prove": true })),
        ("tx", json!([hash, false])),
        ("tx", json!({ "hash": other })),
        ("tx_search", json!({ "query": format!("tx.hash='{}'", sent[2].0) })),
        ("tx_search", json!({ "query": format!("tx.height={height}"), "prove": true })),
        ("tx_search", json!({ "query": "tx.height>1", "per_page": "7", "page": "2" })),
        ("tx_search", json!({ "query": "tx.height>1", "order_by": "desc", "per_page": "5" })),
        ("tx_search", json!({ "query": "tx.height>1", "page": "99" })),
        ("tx_search", json!({ "query": "tx.height>1", "page": "0" })),
        ("tx_search", json!({ "query": "tx.height>1", "order_by": "sideways" })),
        ("block_search", json!({ "query": format!("block.height={height}") })),
        ("block_search", json!({ "query": "block.height<4", "order_by": "asc" })),
        ("block_search", json!({ "query": "block.height<4" })),
        ("block_search", json!({ "query": "no.such='thing'" })),
        ("block_results", json!({ "height": height.to_string() })),
        ("block_results", json!({ "height": "1" })),
    ];
    let searches = [
        both.clone(),
        format!("message.sender='{}' AND transfer.recipient='{}'", address(0), address(1)),
        format!("{both} AND tx.height>{height}"),
        format!("{both} AND tx.height<={height}"),
        "message.action='/cosmos.bank.v1beta1.MsgSend'".into(),
        format!(
            "message.action='/cosmos.bank.v1beta1.MsgSend' AND message.sender='{}'",
            address(3)
        ),
        format!("coin_received.receiver='{}'", address(2)),
        format!("tx.acc_seq='{}/1'", address(2)),
        "tx.acc_seq EXISTS".into(),
        format!("transfer.recipient CONTAINS '{}'", &address(1)[8..20]),
        format!("transfer.sender='{}' AND transfer.recipient CONTAINS 'xpl'", address(1)),
        "transfer.amount='1uxpl'".into(),
        "tx.fee EXISTS".into(),
        "transfer.sender > 5".into(),
        format!("tx.height={} AND transfer.sender='{}'", sent[0].1, address(0)),
    ];
    questions.extend(searches.iter().map(|query| ("tx_search", one_of(query))));
    let mut found = 0;
    for (method, params) in questions {
        let by_stock = call(&client, &stock, method, params.clone());
        let by_door = call(&client, &door, method, params.clone());
        assert_eq!(by_stock, by_door, "{method} {params}");
        let count = by_stock["result"]["total_count"].as_str().unwrap_or("0");
        found += count.parse::<u64>().unwrap();
    }
    assert!(found > 50, "{found} found in all: the questions ask for nothing");
    // What is no query, and no hash: refused on both, in words of their own.
    for (method, params) in [
        ("tx_search", json!({ "query": "tx.height" })),
        ("tx_search", json!({ "query": "" })),
        ("tx_search", json!({ "query": "tx.hash='xyz'" })),
        ("tx_search", json!({ "query": "a".repeat(600) })),
        ("tx", json!({ "hash": "?" })),
        ("tx", json!([hash])),
        ("tx_search", json!({ "query": "tx.height>1", "page": "x" })),
        ("block_results", json!({ "height": "-1" })),
        ("block_results", json!({ "height": "999999" })),
    ] {
        let by_stock = call(&client, &stock, method, params.clone());
        let by_door = call(&client, &door, method, params.clone());
        assert!(by_stock["error"].is_object(), "{method} {params}: {by_stock}");
        let (code, kind) = (&by_stock["error"]["code"], &by_stock["error"]["message"]);
        assert_eq!(
            (code, kind),
            (&by_door["error"]["code"], &by_door["error"]["message"]),
            "{method} {params}"
        );
    }
    // By URI.
    for path in [
        format!("tx?hash=0x{}", sent[1].0),
        format!("tx?hash=0x{}&prove=true", sent[1].0),
        format!("tx?hash=0x{}", "ab".repeat(32)),
        format!("tx_search?query=\"tx.height={height}\"&order_by=\"desc\"&per_page=2&page=1"),
        format!("block_results?height={height}"),
        format!("block_search?query=\"block.height={height}\""),
    ] {
        let get = |base: &str| {
            let answer = client.get(format!("{base}/{path}")).send().unwrap();
            (answer.status(), answer.json::<Value>().unwrap())
        };
        assert_eq!(get(&stock), get(&door), "{path}");
    }
    // A batch of calls for either.
    let batch = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "tx", "params": { "hash": hash } },
        { "jsonrpc": "2.0", "id": 2, "method": "header", "params": { "height": "2" } },
        { "jsonrpc": "2.0", "id": 3, "method": "tx_search", "params": one_of(&both) },
    ]);
    let post =
        |url: &str| -> Value { client.post(url).json(&batch).send().unwrap().json().unwrap() };
    assert_eq!(post(&stock), post(&door));
    assert!(last > 1);
}

#[test]
fn a_chain_whose_cometbft_has_no_index_answers_at_every_door() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = Accounts::new(3, 1).unwrap();
    let mut network = network(dir.path(), 28_820, &accounts, true);
    let urls = network.validators[0].urls.clone();
    let (stock, door) = (urls.rpc.clone(), urls.frontdoor.clone().unwrap());
    let client = Client::new();
    let sent = send(&client, &door, &accounts, 2);
    // CometBFT itself knows nothing.
    let path = format!("tx?hash=0x{}", sent[0].0);
    let answer: Value = client.get(format!("{stock}/{path}")).send().unwrap().json().unwrap();
    assert!(answer["error"]["data"].as_str().unwrap().contains("disabled"), "{answer}");
    let results = json!({ "height": sent[0].1.to_string() });
    assert!(call(&client, &stock, "block_results", results.clone())["error"].is_object());
    let answer = call(&client, &door, "block_results", results);
    assert_eq!(answer["result"]["txs_results"][0]["code"], 0, "{answer}");
    assert!(answer["result"]["txs_results"][0]["events"][0]["type"].is_string(), "{answer}");
    // Waiting for the block.
    let tx = accounts.transfer(CHAIN_ID, 0, 2);
    let answer = call(&client, &door, "broadcast_tx_commit", json!({ "tx": STANDARD.encode(&tx) }));
    assert_eq!(answer["result"]["tx_result"]["code"], 0, "{answer}");
    assert_eq!(answer["result"]["hash"], tx::hash(&tx));
    // REST.
    let get = |path: &str| -> Value {
        client.get(format!("{}{path}", urls.rest)).send().unwrap().json().unwrap()
    };
    let told = get("/cosmos/base/tendermint/v1beta1/node_info");
    assert_eq!(told["default_node_info"]["other"]["tx_index"], "on", "{told}");
    let one = get(&format!("/cosmos/tx/v1beta1/txs/{}", sent[0].0));
    assert_eq!(one["tx_response"]["txhash"], sent[0].0, "{one}");
    assert_eq!(one["tx_response"]["height"], sent[0].1.to_string());
    let header = call(&client, &stock, "header", json!({ "height": sent[0].1.to_string() }));
    let time = header["result"]["header"]["time"].as_str().unwrap();
    assert_eq!(one["tx_response"]["timestamp"].as_str().unwrap()[..19], time[..19]);
    let missing = get(&format!("/cosmos/tx/v1beta1/txs/{}", "AB".repeat(32)));
    assert_eq!(missing["code"], 5, "{missing}");
    let sender = accounts.wallet(0).address().text();
    let many = get(&format!("/cosmos/tx/v1beta1/txs?query=transfer.sender%3D%27{sender}%27"));
    assert_eq!(
        (&many["total"], &many["txs"][0]["body"]["memo"]),
        (&json!("3"), &json!("")),
        "{many}"
    );
    // After both processes were killed all of it is there, and new blocks come.
    network.validators[0].kill();
    network.validators[0].restart().unwrap();
    let height = sent.iter().map(|(_, height)| *height).max().unwrap();
    network.wait_for_block(height + 2).unwrap();
    let again: Value = client.get(format!("{door}/{path}")).send().unwrap().json().unwrap();
    assert_eq!(again["result"]["height"], sent[0].1.to_string(), "{again}");
}
