//! The address book, and what protects against sending to the wrong address.
//!
//! Address poisoning works by an address that begins and ends like one that you know. So everything that
//! you know (your keys, your contacts, those that you have paid) is compared with every new recipient.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use plasma_modules::Address;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::config::{read_toml, write_toml};
use crate::error::{Failure, Result};
use crate::output::Table;

/// Characters at either end that make two addresses look alike.
const ALIKE_CHARS: usize = 6;
/// What every address begins with; it tells nothing.
const PREFIX: &str = "xpl1";
/// Longest name of a contact or key, bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// The address book.
#[derive(Debug, Subcommand)]
pub enum ContactsCommand {
    /// Give an address a name
    Add {
        /// Letters, digits, - and _
        name: String,
        /// Address, xpl1...
        address: String,
    },
    /// Names and addresses
    List,
    /// Forget a name
    Remove {
        /// Its name
        name: String,
    },
}

/// Names for addresses, and who was paid before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contacts {
    /// Name to address.
    #[serde(default)]
    pub contacts: BTreeMap<String, String>,
    /// Address to the number of transfers that it was sent from here.
    #[serde(default)]
    pub paid: BTreeMap<String, u64>,
}

impl Contacts {
    fn path(home: &Path) -> PathBuf {
        home.join("contacts.toml")
    }

    /// Reads the address book; an empty one if there is none.
    ///
    /// # Errors
    /// If the file cannot be read or is no address book.
    pub fn load(home: &Path) -> Result<Self> {
        read_toml(&Self::path(home))
    }

    /// Writes the address book, readable by its owner alone.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn save(&self, home: &Path) -> Result<()> {
        write_toml(&Self::path(home), self)
    }

    /// The name of an address, if it has one.
    pub fn name_of(&self, address: &str) -> Option<&str> {
        self.contacts.iter().find(|(_, known)| *known == address).map(|(name, _)| name.as_str())
    }
}

/// Checks a name of a contact or key.
///
/// # Errors
/// Says what a name looks like.
pub fn check_name(name: &str) -> Result<()> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !plain || name.starts_with('-') {
        return Err(Failure::usage(format!(
            "{name:?} is no name: use 1 to {NAME_BYTES_MAX} letters, digits, - and _"
        )));
    }
    if name.starts_with(PREFIX) {
        return Err(Failure::usage(format!(
            "a name must not begin with {PREFIX}: it would look like an address"
        )));
    }
    Ok(())
}

/// The known address that `address` could be mistaken for: another one with the same six characters at the
/// begin or at the end.
pub fn look_alike<'a>(address: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    fn ends(address: &str) -> Option<(&str, &str)> {
        let data = address.strip_prefix(PREFIX)?;
        let from_end = data.len().checked_sub(ALIKE_CHARS)?;
        Some((data.get(..ALIKE_CHARS)?, data.get(from_end..)?))
    }
    let (head, tail) = ends(address)?;
    known.into_iter().find(|other| {
        *other != address && ends(other).is_some_and(|(begin, end)| begin == head || end == tail)
    })
}

/// Runs `xpl contacts`.
///
/// # Errors
/// If the name or address is none, or the disk refuses.
pub fn run(app: &App, command: ContactsCommand) -> Result<()> {
    let mut book = Contacts::load(&app.home)?;
    match command {
        ContactsCommand::Add { name, address } => {
            check_name(&name)?;
            let address =
                Address::parse(&address).map_err(|error| Failure::usage(error.to_string()))?.text();
            let keys = app.keyring().list()?;
            if keys.iter().any(|key| key.name == name) {
                return Err(Failure::usage(format!("{name} is the name of one of your keys")));
            }
            if let Some(old) = book.contacts.get(&name).filter(|old| **old != address) {
                return Err(Failure::usage(format!("{name} is {old} already"))
                    .hint(format!("to change it:  xpl contacts remove {name}")));
            }
            let own = keys.iter().map(|key| key.address.as_str());
            let known = own.chain(book.contacts.values().map(String::as_str));
            if let Some(other) = look_alike(&address, known) {
                app.out.warn(&format!(
                    "this address looks like {other}, which you know, but it is another one"
                ));
                app.confirm("Add it all the same?")?;
            }
            book.contacts.insert(name.clone(), address.clone());
            book.save(&app.home)?;
            app.out.done(
                &format!("{name} is {address}"),
                &serde_json::json!({ "name": name, "address": address }),
            );
        }
        ContactsCommand::List => {
            let mut table = Table::new(["NAME", "ADDRESS"]);
            for (name, address) in &book.contacts {
                table.row([name.clone(), address.clone()]);
            }
            let json: Vec<_> = book
                .contacts
                .iter()
                .map(|(name, address)| serde_json::json!({ "name": name, "address": address }))
                .collect();
            app.out.table(&table, "no contacts yet: xpl contacts add NAME ADDRESS", &json);
        }
        ContactsCommand::Remove { name } => {
            let address = book.contacts.remove(&name).ok_or_else(|| {
                Failure::usage(format!("no contact is named {name}")).hint("see  xpl contacts list")
            })?;
            book.save(&app.home)?;
            app.out.done(
                &format!("{name} ({address}) is forgotten"),
                &serde_json::json!({ "name": name, "address": address }),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const KNOWN: &str = "xpl19rl4cm2hmr8afy4kldpxz3fka4jguq0a5m7df8";

    #[test]
    fn addresses_that_begin_or_end_alike_are_found() {
        let begins = "xpl19rl4cmaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        let ends = "xpl1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa5m7df8";
        let neither = "xpl19rl4caaaaaaaaaaaaaaaaaaaaaaaaaaaam7df8";
        assert_eq!(look_alike(begins, [KNOWN]), Some(KNOWN));
        assert_eq!(look_alike(ends, [neither, KNOWN]), Some(KNOWN));
        assert_eq!(look_alike(neither, [KNOWN]), None);
        assert_eq!(look_alike(KNOWN, [KNOWN]), None, "the known one itself");
        assert_eq!(look_alike("xpl1", [KNOWN]), None);
    }

    #[test]
    fn an_address_book_reads_back() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Contacts::load(home.path()).unwrap(), Contacts::default());
        let mut book = Contacts::default();
        book.contacts.insert("alice".into(), KNOWN.into());
        book.paid.insert(KNOWN.into(), 3);
        book.save(home.path()).unwrap();
        book.save(home.path()).unwrap();
        assert_eq!(Contacts::load(home.path()).unwrap(), book);
        assert_eq!(book.name_of(KNOWN), Some("alice"));
        fs::write(home.path().join("contacts.toml"), "nonsense = [").unwrap();
        assert!(Contacts::load(home.path()).is_err());
    }

    #[test]
    fn names_are_plain() {
        for name in ["alice", "A-1_b"] {
            check_name(name).unwrap();
        }
        for name in ["", "-x", "a b", "a/b", "..", "é", "xpl1abc", &"a".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
