//! The binary as people and scripts use it, without a node.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Known to everybody; never for real money.
const WORDS: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
const PASSWORD: &str = "correct horse";
/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:1";

fn xpl(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xpl"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("XPL_")) {
        command.env_remove(name);
    }
    command.args(args).env("XPL_HOME", home).env("XPL_PASSWORD", PASSWORD).stdin(Stdio::null());
    command
}

fn run(home: &Path, args: &[&str]) -> Output {
    xpl(home, args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(home: &Path, args: &[&str]) -> Value {
    let output = run(home, &[&["--output", "json"], args].concat());
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// The exit code, and the error in its JSON form.
fn failure(home: &Path, args: &[&str]) -> (i32, Value) {
    let output = run(home, &[&["--output", "json"], args].concat());
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    let text = String::from_utf8(output.stderr).unwrap();
    let last = text.lines().last().unwrap();
    let error: Value = serde_json::from_str(last).unwrap();
    let fields: Vec<_> = error["error"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields.len(), 4, "{error}");
    for field in ["code", "codespace", "message", "hint"] {
        assert!(fields.iter().any(|name| name == field), "{error}");
    }
    (output.status.code().unwrap(), error["error"].clone())
}

fn recover(home: &Path, name: &str) -> String {
    let mut child = xpl(home, &["--output", "json", "keys", "recover", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(WORDS.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let json: Value = serde_json::from_str(&stdout(&output)).unwrap();
    json["address"].as_str().unwrap().to_owned()
}

#[test]
fn a_key_lives_and_dies() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let added = json(home, &["keys", "add", "alice"]);
    assert_eq!(added["mnemonic"].as_str().unwrap().split(' ').count(), 24);
    let address = added["address"].as_str().unwrap();

    // Neither listing nor showing needs the password.
    let listed = xpl(home, &["keys", "list"]).env_remove("XPL_PASSWORD").output().unwrap();
    assert!(stdout(&listed).contains(address));
    assert_eq!(stdout(&run(home, &["keys", "show", "--address"])).trim(), address);
    assert_eq!(json(home, &["keys", "show", "alice"])["address"], address);

    // The words bring the same key back, under another name.
    let words = home.join("words");
    std::fs::write(&words, added["mnemonic"].as_str().unwrap()).unwrap();
    let again =
        json(home, &["keys", "recover", "again", "--mnemonic-file", words.to_str().unwrap()]);
    assert_eq!(again["address"], address);

    // Sealed and taken over, it is the same key too.
    let sealed = home.join("sealed.json");
    let sealed = sealed.to_str().unwrap();
    json(home, &["keys", "export", "alice", "--sealed", sealed]);
    let known = gpu_node::keyfile::open(Path::new(sealed), PASSWORD).unwrap();
    assert_eq!(
        (known.kind.as_str(), known.public.as_str(), known.secret.len()),
        ("secp256k1", address, 32)
    );
    assert_eq!(json(home, &["keys", "import", "moved", sealed])["address"], address);
    let secret = json(home, &["keys", "export", "alice", "--unsafe-hex", "--yes"]);
    assert_eq!(secret["secret"].as_str().unwrap(), plasma_modules::types::hex(&known.secret));

    let (code, error) = failure(home, &["keys", "delete", "alice"]);
    assert_eq!((code, error["codespace"].as_str()), (2, Some("xpl")), "a deletion needs a yes");
    json(home, &["keys", "delete", "alice", "--yes"]);
    assert_eq!(failure(home, &["keys", "show", "alice"]).0, 2);
}

#[test]
fn words_from_elsewhere_grow_the_same_account() {
    let home = tempfile::tempdir().unwrap();
    let address = recover(home.path(), "alice");
    // The published address of these words, cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4, has the same bytes.
    assert!(address.starts_with("xpl19rl4cm2hmr8afy4kldpxz3fka4jguq0a"), "{address}");
    assert!(plasma_modules::Address::parse(&address).is_ok());
}

#[cfg(unix)]
#[test]
fn what_is_kept_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let outside = tempfile::tempdir().unwrap();
    let home = outside.path().join("home");
    recover(&home, "alice");
    run(&home, &["config", "set", "node", NOBODY]);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home), 0o700);
    assert_eq!(mode(&home.join("keys")), 0o700);
    assert_eq!(mode(&home.join("keys/alice.json")), 0o600);
    assert_eq!(mode(&home.join("config.toml")), 0o600);
}

#[test]
fn a_wrong_or_short_password_is_refused() {
    let home = tempfile::tempdir().unwrap();
    recover(home.path(), "alice");
    let export = ["keys", "export", "alice", "--unsafe-hex", "--yes"];
    let wrong = xpl(home.path(), &export).env("XPL_PASSWORD", "battery staple").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("wrong password"));
    let short =
        xpl(home.path(), &["keys", "add", "bob"]).env("XPL_PASSWORD", "short").output().unwrap();
    assert_eq!(short.status.code(), Some(2));
    assert!(!home.path().join("keys/bob.json").exists());
    let file = home.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let args = [&export[..], &["--password-file", file.to_str().unwrap()]].concat();
    assert!(xpl(home.path(), &args).env_remove("XPL_PASSWORD").output().unwrap().status.success());
}

#[test]
fn an_address_that_looks_like_a_known_one_gets_no_money() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let own = recover(home, "alice");
    // Another account whose address begins alike.
    let mut bytes = plasma_modules::Address::parse(&own).unwrap();
    bytes.0[19] ^= 1;
    let poisoned = bytes.text();
    assert_eq!(poisoned[..10], own[..10]);

    let send = ["--node", NOBODY, "bank", "send", &poisoned, "1xpl"];
    let (code, error) = failure(home, &[&send[..], &["--yes"]].concat());
    assert_eq!(code, 2);
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(&poisoned) && message.contains(&own), "both in full: {message}");
    assert!(error["hint"].as_str().unwrap().contains("--allow-lookalike"));
    // Allowed in so many words it goes on, to the node that is not there.
    assert_eq!(failure(home, &[&send[..], &["--yes", "--allow-lookalike"]].concat()).0, 3);
    // Nor does it become a contact unasked.
    assert_eq!(failure(home, &["contacts", "add", "friend", &poisoned]).0, 2);
}

#[test]
fn a_first_payment_needs_a_yes() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    recover(home, "alice");
    let stranger = plasma_modules::Address([7; 20]).text();
    let send = ["--node", NOBODY, "bank", "send", &stranger, "1xpl"];
    let (code, error) = failure(home, &send);
    assert_eq!(code, 2);
    assert!(error["hint"].as_str().unwrap().contains("--yes"));
    assert_eq!(failure(home, &[&send[..], &["--yes"]].concat()).0, 3);
    // A contact is known: no question, straight to the node.
    json(home, &["contacts", "add", "bob", &stranger]);
    assert_eq!(failure(home, &["--node", NOBODY, "bank", "send", "bob", "1xpl"]).0, 3);
    assert_eq!(json(home, &["contacts", "list"])[0]["address"], stranger);
    json(home, &["contacts", "remove", "bob"]);
    assert_eq!(json(home, &["contacts", "list"]), serde_json::json!([]));
}

#[test]
fn errors_have_one_shape_and_an_exit_code() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    for (args, exit, codespace) in [
        (&["--node", NOBODY, "status"][..], 3, "xpl"),
        (&["--node", NOBODY, "block"], 3, "xpl"),
        (&["--node", NOBODY, "job", "show", "7"], 3, "xpl"),
        (&["--node", NOBODY, "model", "list"], 3, "xpl"),
        (&["--node", "nonsense", "status"], 2, "xpl"),
        (&["keys", "show", "nobody"], 2, "xpl"),
        (&["bank", "balance"], 2, "xpl"),
        (&["bank", "balance", "xpl1nonsense"], 2, "xpl"),
        (&["job", "list"], 2, "xpl"),
        (&["bank", "send", "bob", "5"], 2, "xpl"),
        (&["nonsense"], 2, "xpl"),
        (&["job", "submit", "hi", "--temperature", "hot"], 2, "xpl"),
        (&["job", "submit", "hi", "--until", "settled"], 2, "xpl"),
    ] {
        let (code, error) = failure(home, args);
        assert_eq!(
            (code, error["codespace"].as_str()),
            (exit, Some(codespace)),
            "{args:?}: {error}"
        );
        assert_eq!(error["code"], exit, "{args:?}");
    }
    let text = run(home, &["--node", NOBODY, "status"]);
    let text = String::from_utf8(text.stderr).unwrap();
    assert!(text.starts_with("error: ") && text.contains("hint: "), "{text}");
    assert!(!text.contains('\u{1b}'), "no colour where there is no terminal");
}

#[test]
fn settings_hold_until_they_are_overruled() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    stdout(&run(home, &["config", "set", "node", NOBODY]));
    assert_eq!(stdout(&run(home, &["config", "get", "node"])).trim(), NOBODY);
    assert_eq!(json(home, &["config", "show"])["node"], NOBODY);
    assert_eq!(
        json(home, &["--node", "http://other:1", "config", "show"])["node"],
        "http://other:1"
    );
    stdout(&run(home, &["config", "set", "output", "json"]));
    let output = run(home, &["config", "get", "node"]);
    assert_eq!(serde_json::from_str::<Value>(&stdout(&output)).unwrap(), NOBODY);
    assert_eq!(failure(home, &["config", "set", "node", "nonsense"]).0, 2);
}

#[test]
fn shells_are_completed() {
    let home = tempfile::tempdir().unwrap();
    for (shell, sign) in
        [("bash", "complete -F"), ("zsh", "#compdef xpl"), ("fish", "complete -c xpl")]
    {
        let script = stdout(&run(home.path(), &["completions", shell]));
        assert!(script.contains(sign) && script.contains("lookalike"), "{shell}");
    }
}

#[test]
fn every_command_explains_itself() {
    let home = tempfile::tempdir().unwrap();
    for command in [
        "",
        "keys",
        "keys add",
        "keys list",
        "keys show",
        "keys recover",
        "keys import",
        "keys export",
        "keys delete",
        "bank",
        "bank send",
        "bank balance",
        "account",
        "account show",
        "feegrant",
        "feegrant grant",
        "feegrant revoke",
        "feegrant list",
        "authz",
        "authz grant",
        "authz exec",
        "authz revoke",
        "authz list",
        "contacts",
        "contacts add",
        "contacts list",
        "contacts remove",
        "provider",
        "provider list",
        "provider show",
        "model",
        "model publish",
        "model list",
        "model show",
        "model offers",
        "job",
        "job submit",
        "job show",
        "job list",
        "job watch",
        "job result",
        "job cancel",
        "dispute",
        "appeal",
        "audit",
        "audit show",
        "audit watch",
        "audit list",
        "audit duties",
        "audit pool",
        "audit profile",
        "audit standing",
        "audit set-profile",
        "tx",
        "block",
        "status",
        "config",
        "config show",
        "config get",
        "config set",
        "completions",
    ] {
        let args: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let help = stdout(&run(home.path(), &args));
        let first = help.lines().next().unwrap();
        assert!(first.len() > 4 && !first.starts_with("Usage"), "{command:?}: {first:?}");
        assert!(help.contains("--output"), "{command:?}");
    }
    let help = stdout(&run(home.path(), &["--help"]));
    for code in ["Exit codes:", "130", "no node answers"] {
        assert!(help.contains(code), "{code}");
    }
}
