//! `xpl keys`: making, showing, moving and deleting keys.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use gpu_node::keyfile;
use zeroize::Zeroizing;

use crate::App;
use crate::contacts::{Contacts, check_name};
use crate::error::{Failure, Result};
use crate::keyring::{
    KIND, KeyInfo, check_password, new_words, open_sealed, read_words, wallet_of,
};
use crate::output::{Table, Tone};

/// Your keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a new key; its 24 words are shown once
    Add {
        /// Letters, digits, - and _
        name: String,
    },
    /// Names and addresses; needs no password
    List,
    /// One key's address and public facts; needs no password
    Show {
        /// Its name; the only key, or the one of --from, if left out
        name: Option<String>,
        /// The address alone
        #[arg(long, short)]
        address: bool,
    },
    /// Bring a key back from its words
    Recover {
        /// Letters, digits, - and _
        name: String,
        /// File with the words; else they are asked for, or read from standard input
        #[arg(long, value_name = "FILE")]
        mnemonic_file: Option<PathBuf>,
    },
    /// Take over a sealed key file, as `keys export --sealed` writes it
    Import {
        /// Letters, digits, - and _
        name: String,
        /// The sealed file; its password becomes the key's
        file: PathBuf,
    },
    /// Write a key to a file, or show its secret
    Export {
        /// Its name
        name: String,
        #[command(flatten)]
        how: ExportArgs,
    },
    /// Remove a key from this machine for good
    Delete {
        /// Its name
        name: String,
    },
}

/// How a key is exported.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ExportArgs {
    /// Write a sealed key file under the same password; `gpu-node register --operator-key` reads it
    #[arg(long, value_name = "FILE")]
    sealed: Option<PathBuf>,
    /// Print the secret key, 64 hexadecimal digits: whoever sees them owns the money
    #[arg(long)]
    unsafe_hex: bool,
}

/// Runs `xpl keys`.
///
/// # Errors
/// If there is no such key, the password is another, or the disk refuses.
pub fn run(app: &App, command: KeysCommand) -> Result<()> {
    let ring = app.keyring();
    match command {
        KeysCommand::Add { name } => add(app, &name)?,
        KeysCommand::List => {
            let mut table = Table::new(["NAME", "ADDRESS"]);
            let keys = ring.list()?;
            let default = app.key_name().ok();
            for KeyInfo { name, address } in &keys {
                let tone =
                    if default.as_deref() == Some(name) { Tone::Strong } else { Tone::Plain };
                table.toned([(name.clone(), tone), (address.clone(), Tone::Plain)]);
            }
            let json: Vec<_> = keys.iter().map(json_of).collect();
            app.out.table(&table, "no keys yet: xpl keys add NAME", &json);
        }
        KeysCommand::Show { name, address } => {
            let info = ring.info(&name.map_or_else(|| app.key_name(), Ok)?)?;
            if address {
                app.out.print(&info.address, &info.address);
                return Ok(());
            }
            let mut table = Table::fields();
            table.field_toned("name", &info.name, Tone::Strong);
            table.field("address", &info.address);
            table.field("kind", KIND);
            table.field("file", ring.path(&info.name).display().to_string());
            app.out.table(&table, "", &json_of(&info));
        }
        KeysCommand::Recover { name, mnemonic_file } => {
            check_name(&name)?;
            ring.refuse_taken(&name)?;
            let wallet = wallet_of(&read_words(mnemonic_file.as_deref())?)?;
            let info = ring.add(&name, &wallet, &app.password.choose()?)?;
            app.out.done(&format!("{name} is back: {}", info.address), &json_of(&info));
        }
        KeysCommand::Import { name, file } => {
            check_name(&name)?;
            ring.refuse_taken(&name)?;
            let prompt = format!("Password of {}: ", file.display());
            let info = app.password.unlock(&prompt, |password| {
                check_password(password)?;
                ring.add(&name, &open_sealed(&file, password)?, password)
            })?;
            app.out.done(&format!("{name} is {}", info.address), &json_of(&info));
        }
        KeysCommand::Export { name, how } => export(app, &name, how)?,
        KeysCommand::Delete { name } => {
            let info = ring.info(&name)?;
            app.out.warn(&format!(
                "without its words, the money of {name} ({}) is lost with the key",
                info.address
            ));
            app.confirm(&format!("Delete the key {name} from this machine?"))?;
            ring.delete(&name)?;
            app.out.done(&format!("{name} is deleted"), &json_of(&info));
        }
    }
    Ok(())
}

fn json_of(info: &KeyInfo) -> serde_json::Value {
    serde_json::json!({ "name": info.name, "address": info.address, "kind": KIND })
}

fn add(app: &App, name: &str) -> Result<()> {
    check_name(name)?;
    let ring = app.keyring();
    ring.refuse_taken(name)?;
    if Contacts::load(&app.home)?.contacts.contains_key(name) {
        return Err(Failure::usage(format!("{name} is the name of one of your contacts")));
    }
    let words = new_words()?;
    let wallet = wallet_of(&words)?;
    let password = app.password.choose()?;
    let info = ring.add(name, &wallet, &password)?;
    if app.out.is_json() {
        let mut json = json_of(&info);
        json["mnemonic"] = words.as_str().into();
        app.out.json(&json);
        return Ok(());
    }
    app.out.done(&format!("{name} is {}", info.address), &());
    let mut text = String::from(
        "\nThese words are the key. Write them down and keep them where nobody finds them;\nthey are shown this one time:\n\n",
    );
    for (at, word) in words.split(' ').enumerate() {
        text.push_str(&format!("{:>4} {word:<10}", at + 1));
        if at % 6 == 5 {
            text.push('\n');
        }
    }
    app.out.print(&text, &());
    Ok(())
}

fn export(app: &App, name: &str, how: ExportArgs) -> Result<()> {
    let ring = app.keyring();
    let info = ring.info(name)?;
    let prompt = format!("Password of {name}: ");
    if let Some(path) = how.sealed {
        app.password.unlock(&prompt, |password| {
            let wallet = ring.open(name, password)?;
            let secret = wallet.secret();
            Ok(keyfile::seal(&path, KIND, &info.address, secret.as_slice(), password, ring.params)?)
        })?;
        let file = path.display().to_string();
        app.out.done(
            &format!("{name} is sealed in {file}, under the same password"),
            &serde_json::json!({ "name": name, "address": info.address, "file": file }),
        );
        return Ok(());
    }
    debug_assert!(how.unsafe_hex);
    app.out.warn("whoever sees the secret key owns the money of the account, for good");
    app.confirm("Show the secret key?")?;
    let wallet = app.password.unlock(&prompt, |password| ring.open(name, password))?;
    let hex = Zeroizing::new(plasma_modules::types::hex(wallet.secret().as_slice()));
    app.out.print(
        &hex,
        &serde_json::json!({ "name": name, "address": info.address, "secret": hex.as_str() }),
    );
    Ok(())
}
