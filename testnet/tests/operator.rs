//! What an operator has: metrics that the dashboard and the alerts ask for, readiness, and a log
//! level that changes while the node runs.

use std::{collections::BTreeSet, fs, net::TcpListener, path::Path, process::Command};

use plasma_testnet::{
    comet::{Network, NetworkSpec},
    process::Programs,
};
use serde_json::Value;

fn free_ports() -> u16 {
    let pid = u16::try_from(std::process::id() % 1_000).unwrap();
    (0..100)
        .map(|n| 33_000 + (pid * 20 + n * 40) % 20_000)
        .find(|base| (0..20).all(|n| TcpListener::bind(("127.0.0.1", base + n)).is_ok()))
        .unwrap()
}

fn get(url: &str) -> (u16, String) {
    let answer = reqwest::blocking::get(url).unwrap();
    (answer.status().as_u16(), answer.text().unwrap())
}

/// Names of the samples that a page may hold, by the kinds that it declares.
fn served(page: &str) -> BTreeSet<String> {
    let declared = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = declared.flat_map(|line| {
        let (name, kind) = line.split_once(' ').unwrap();
        let bare = name.trim_end_matches("_total");
        let suffixes: &[&str] = match kind {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "summary" => &["", "_sum", "_count"],
            "info" => &["_info"],
            _ => &[""],
        };
        suffixes.iter().map(move |suffix| format!("{bare}{suffix}"))
    });
    names.collect()
}

/// Names of metrics in an expression.
fn asked(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = |word: &&str| {
        ["plasma_", "process_", "cometbft_"].iter().any(|prefix| word.starts_with(prefix))
    };
    words.filter(ours).map(str::to_owned).collect()
}

/// Every expression below `value`, by the dashboard's names for them.
fn expressions<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(text) if ["expr", "definition"].contains(&name.as_str()) => {
                        found.push(text);
                    }
                    _ => expressions(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

#[test]
fn an_operator_sees_and_steers_a_node() {
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let ports = free_ports();
    let spec = NetworkSpec {
        home: dir.path().into(),
        chain_id: "plasma-operator-1".into(),
        validators: 1,
        accounts: Vec::new(),
        port_base: ports,
        timeout_commit: "200ms".into(),
        set: Vec::new(),
    };
    let mut network = Network::up(&spec, &programs).unwrap();
    network.wait_for_block(2).unwrap();
    let port = network.validators[0].metrics.clone();
    let home = network.validators[0].home.clone();
    let comet = format!("http://127.0.0.1:{}/metrics", ports + 5);
    let rest = network.validators[0].urls.rest.clone();

    // Questions are counted by the names that are served, strangers' words are not.
    assert_eq!(get(&format!("{rest}/plasma/market/v1/params")).0, 200);
    assert_eq!(get(&format!("{rest}/plasma/market/v1/jobs/7")).0, 404);
    let (_, page) = get(&format!("http://{port}/metrics"));
    for line in [
        "plasma_answers_total{method=\"/plasma.market.v1.Query/Params\",code=\"0\"} 1",
        "plasma_answers_total{method=\"/plasma.market.v1.Query/Job\",code=\"5\"} 1",
        "plasma_abci_connections 4",
        "plasma_abci_seconds_count{call=\"finalize_block\"}",
        "plasma_rocksdb_sst_bytes{family=\"state\"}",
        "process_open_fds ",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }

    // Everything that the dashboard and the alerts ask for is there.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana");
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("plasma.json")).unwrap()).unwrap();
    let mut expected = Vec::new();
    expressions(&dashboard, &mut expected);
    assert!(expected.len() > 30, "{} expressions", expected.len());
    let alerts = fs::read_to_string(folder.join("alerts.yml")).unwrap();
    expected.extend(alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")));
    let mut names = served(&page);
    names.extend(served(&get(&comet).1));
    for expression in &expected {
        let missing: Vec<_> = asked(expression).difference(&names).cloned().collect();
        assert!(missing.is_empty(), "{expression} asks for {missing:?}");
    }
    // And it can be imported: ids once, panels with a place and a source.
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    assert!(dashboard["schemaVersion"].is_u64() && dashboard["uid"].is_string());
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert!(panel["gridPos"]["w"].is_u64() && panel["title"].is_string(), "{panel}");
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel}");
        }
    }

    // The log level changes while the node runs, by its command and not by a web page.
    let level = |args: &[&str]| {
        let mut command = Command::new(&programs.plasmad);
        let output = command.args(["log-level", "--home"]).arg(&home).args(args).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    assert_eq!(level(&[]), (true, "info".into()));
    let log = || fs::read_to_string(home.join("logs/plasmad.log")).unwrap();
    assert!(!log().contains("committed height"));
    assert_eq!(level(&["info,plasma_app=debug"]), (true, "info,plasma_app=debug".into()));
    let height = network.validators[0].height().unwrap();
    network.wait_for_block(height + 1).unwrap();
    assert!(log().contains("committed height"), "{}", log());
    assert!(!level(&["a=b=c"]).0);
    let page = reqwest::blocking::Client::new()
        .put(format!("http://{port}/log-level"))
        .header("origin", "https://example.org")
        .body("trace")
        .send();
    assert_eq!(page.unwrap().status().as_u16(), 403);
    assert_eq!(level(&[]).1, "info,plasma_app=debug");

    // Ready, and not once CometBFT is gone; alive all the time.
    let ready = || {
        let (status, text) = get(&format!("http://{port}/readyz"));
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let (status, body) = ready();
    assert_eq!((status, &body["ready"]), (200, &true.into()), "{body}");
    network.validators[0].stop_cometbft();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while ready().0 == 200 && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let (status, body) = ready();
    assert_eq!((status, &body["ready"]), (503, &false.into()), "{body}");
    assert_eq!(body["reason"], "CometBFT is not connected");
    assert_eq!(get(&format!("http://{port}/healthz")).0, 200);
}
