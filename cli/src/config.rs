//! Settings: flags before environment before `<home>/config.toml` before defaults.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::error::{Failure, Result};
use crate::output::Table;

/// The node that is asked where nothing else is said.
pub const NODE_DEFAULT: &str = "http://127.0.0.1:26657";
/// Folder below the user's home.
const HOME_FOLDER: &str = ".xpl";
/// Largest settings file that is read, bytes; an address book grows.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Settings that last.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Every setting as it holds now
    Show,
    /// One setting
    Get {
        /// Which
        key: Setting,
    },
    /// Keep a setting for good; an empty value forgets it
    Set {
        /// Which
        key: Setting,
        /// Its value
        value: String,
    },
}

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Setting {
    /// RPC address of the node
    Node,
    /// gRPC address of the node
    Grpc,
    /// The only chain that is signed for
    ChainId,
    /// Key that signs
    From,
    /// text or json
    Output,
    /// Folder of the models that `verify` loads
    Models,
}

/// How results are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON document
    Json,
}

/// What `<home>/config.toml` holds; anything may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// RPC address of the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// gRPC address of the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<String>,
    /// The only chain that is signed for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<String>,
    /// Key that signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// How results are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Format>,
    /// Folder of the models that `verify` loads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<PathBuf>,
}

/// Reads a settings file; its default if there is none.
///
/// # Errors
/// If the file cannot be read, is too large, or says something unknown.
pub fn read_toml<T: DeserializeOwned + Default>(path: &Path) -> Result<T> {
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(T::default()),
        Err(error) => return Err(Failure::file(path, &error)),
        Ok(file) if file.len() > FILE_BYTES_MAX => {
            let text = format!("{}: larger than {FILE_BYTES_MAX} bytes", path.display());
            return Err(Failure::usage(text));
        }
        Ok(_) => {}
    }
    let text = fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    toml::from_str(&text)
        .map_err(|error| Failure::usage(format!("{}: {}", path.display(), error.message())))
}

/// Writes a settings file, readable by its owner alone.
///
/// # Errors
/// If the disk refuses.
pub fn write_toml<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let text = toml::to_string_pretty(value).map_err(|error| Failure::usage(error.to_string()))?;
    write_private(path, &text)
}

impl Config {
    fn path(home: &Path) -> PathBuf {
        home.join("config.toml")
    }

    /// Reads the configuration; an empty one if there is none.
    ///
    /// # Errors
    /// If the file cannot be read or says something unknown.
    pub fn load(home: &Path) -> Result<Self> {
        read_toml(&Self::path(home))
    }

    /// Writes the configuration.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn save(&self, home: &Path) -> Result<()> {
        write_toml(&Self::path(home), self)
    }

    /// One setting as text.
    pub fn get(&self, key: Setting) -> Option<String> {
        match key {
            Setting::Node => self.node.clone(),
            Setting::Grpc => self.grpc.clone(),
            Setting::ChainId => self.chain_id.clone(),
            Setting::From => self.from.clone(),
            Setting::Output => self.output.and_then(|format| name(&format)),
            Setting::Models => self.models.as_ref().map(|path| path.display().to_string()),
        }
    }

    /// Changes one setting; an empty value forgets it.
    ///
    /// # Errors
    /// If the value cannot be one.
    pub fn set(&mut self, key: Setting, value: &str) -> Result<()> {
        let text = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        match key {
            Setting::Node | Setting::Grpc => {
                if let Some(url) = &text {
                    check_url(url)?;
                }
                *(if key == Setting::Node { &mut self.node } else { &mut self.grpc }) = text;
            }
            Setting::ChainId => self.chain_id = text,
            Setting::From => {
                if let Some(key) = &text {
                    crate::contacts::check_name(key)?;
                }
                self.from = text;
            }
            Setting::Output => {
                let read = |text: String| {
                    Format::from_str(&text, true)
                        .map_err(|_| Failure::usage("output is text or json"))
                };
                self.output = text.map(read).transpose()?;
            }
            Setting::Models => self.models = text.map(PathBuf::from),
        }
        Ok(())
    }

    /// These settings where given, else those of `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let Self { node, grpc, chain_id, from, output, models } = self;
        Self {
            node: node.or(other.node),
            grpc: grpc.or(other.grpc),
            chain_id: chain_id.or(other.chain_id),
            from: from.or(other.from),
            output: output.or(other.output),
            models: models.or(other.models),
        }
    }
}

fn check_url(url: &str) -> Result<()> {
    let known = ["http://", "https://", "tcp://"].iter().any(|scheme| url.starts_with(scheme));
    if known && url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Failure::usage(format!("{url:?} is no address; it looks like {NODE_DEFAULT}")))
}

/// The name of a value as it is typed.
fn name(value: &impl ValueEnum) -> Option<String> {
    value.to_possible_value().map(|value| value.get_name().to_owned())
}

/// Where keys, contacts and settings are, if nothing else is said.
///
/// # Errors
/// If the user has no home.
pub fn default_home() -> Result<PathBuf> {
    std::env::home_dir()
        .filter(|home| !home.as_os_str().is_empty())
        .map(|home| home.join(HOME_FOLDER))
        .ok_or_else(|| {
            Failure::usage("this user has no home folder").hint("name a folder by --home")
        })
}

/// Makes a folder that only its owner can enter.
///
/// # Errors
/// If the disk refuses.
pub fn make_private_folder(path: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| Failure::file(path, &error))
}

/// Replaces a file as a whole; only its owner can read it.
///
/// # Errors
/// If the disk refuses.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    if let Some(folder) = path.parent() {
        make_private_folder(folder)?;
    }
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&beside);
        Failure::file(path, &error)
    })
}

/// Runs `xpl config`.
///
/// # Errors
/// If a value cannot be one, or the disk refuses.
pub fn run(app: &App, command: ConfigCommand) -> Result<()> {
    match command {
        ConfigCommand::Show => {
            let mut table = Table::new(["SETTING", "VALUE"]);
            let mut json = serde_json::Map::new();
            let home = ("home".to_owned(), Some(app.home.display().to_string()));
            let rows = Setting::value_variants()
                .iter()
                .map(|key| (name(key).unwrap_or_default(), app.settings.get(*key)));
            for (key, value) in std::iter::once(home).chain(rows) {
                table.row([key.clone(), value.clone().unwrap_or_else(|| "-".to_owned())]);
                json.insert(key, value.into());
            }
            app.out.table(&table, "", &json);
        }
        ConfigCommand::Get { key } => {
            let value = app.settings.get(key);
            app.out.print(value.as_deref().unwrap_or_default(), &value);
        }
        ConfigCommand::Set { key, value } => {
            let mut config = Config::load(&app.home)?;
            config.set(key, &value)?;
            config.save(&app.home)?;
            let (key, value) = (name(&key).unwrap_or_default(), config.get(key));
            let text = match &value {
                Some(value) => format!("{key} = {value}"),
                None => format!("{key} is forgotten"),
            };
            app.out.done(&text, &serde_json::json!({ "setting": key, "value": value }));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_back() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Config::load(home.path()).unwrap(), Config::default());
        let mut config = Config::default();
        config.set(Setting::Node, "http://10.0.0.1:26657").unwrap();
        config.set(Setting::Output, "json").unwrap();
        config.set(Setting::From, "alice").unwrap();
        config.save(home.path()).unwrap();
        assert_eq!(Config::load(home.path()).unwrap(), config);
        assert_eq!(config.get(Setting::Output).as_deref(), Some("json"));
        config.set(Setting::From, "").unwrap();
        assert_eq!(config.from, None);
        for (key, value) in
            [(Setting::Node, "10.0.0.1"), (Setting::Output, "xml"), (Setting::From, "a b")]
        {
            assert!(config.set(key, value).is_err(), "{value}");
        }
        fs::write(home.path().join("config.toml"), "nod = \"x\"").unwrap();
        assert!(Config::load(home.path()).is_err(), "an unknown setting is a mistake");
    }

    #[test]
    fn what_is_given_comes_first() {
        let flags = Config { node: Some("http://a".into()), ..Config::default() };
        let file =
            Config { node: Some("http://b".into()), from: Some("x".into()), ..Config::default() };
        let both = flags.or(file);
        assert_eq!((both.node.as_deref(), both.from.as_deref()), (Some("http://a"), Some("x")));
    }
}
