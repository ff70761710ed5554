//! What people and programs see: text with a little colour, or one JSON document.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage, SerializeOptions};
use serde::Serialize;
use serde_json::Value;

use crate::error::{Failure, Result};

// The node's own, so that both write and read the same: neither of the two programs may depend on the other.
#[path = "../../app/src/doors/decimals.rs"]
mod decimals;

/// A wait that is shorter shows no spinner.
const SPINNER_AFTER: Duration = Duration::from_millis(500);
/// How often a spinner moves.
const SPINNER_TICK: Duration = Duration::from_millis(100);
/// Between the columns of a table.
const GAP: &str = "  ";

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// Important.
    Strong,
    /// Beside the point.
    Dim,
    /// It went well.
    Good,
    /// Look at it.
    Warn,
    /// It went wrong.
    Bad,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "\u{1b}[1m",
            Self::Dim => "\u{1b}[2m",
            Self::Good => "\u{1b}[32m",
            Self::Warn => "\u{1b}[33m",
            Self::Bad => "\u{1b}[31m",
        }
    }

    fn paint(self, text: &str, colour: bool) -> String {
        match (colour, self) {
            (false, _) | (_, Self::Plain) => text.to_owned(),
            _ => format!("{}{text}\u{1b}[0m", self.code()),
        }
    }
}

/// Text of the chain or the network without what a terminal would obey; line breaks and tabs stay.
pub fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// As [`clean`], on one line.
pub fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A table for people.
#[derive(Debug, Clone)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<(String, Tone)>>,
}

impl Table {
    /// An empty table with these headings; no headings make a list of fields.
    pub fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { head: head.map(str::to_owned).into(), rows: Vec::new() }
    }

    /// A list of names and values.
    pub fn fields() -> Self {
        Self { head: Vec::new(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into_iter().map(|cell| (line(&cell), Tone::Plain)).collect());
    }

    /// Adds a row with tones.
    pub fn toned<const N: usize>(&mut self, cells: [(String, Tone); N]) {
        self.rows.push(cells.into_iter().map(|(cell, tone)| (line(&cell), tone)).collect());
    }

    /// Adds a name and its value.
    pub fn field(&mut self, name: &str, value: impl Into<String>) {
        self.rows.push(vec![(name.to_owned(), Tone::Dim), (line(&value.into()), Tone::Plain)]);
    }

    /// Adds a name and its value, with a tone.
    pub fn field_toned(&mut self, name: &str, value: impl Into<String>, tone: Tone) {
        self.rows.push(vec![(name.to_owned(), Tone::Dim), (line(&value.into()), tone)]);
    }

    /// As text. Columns whose values are all numbers stand to the right.
    pub fn render(&self, colour: bool) -> String {
        let width = |text: &str| text.chars().count();
        let columns = self.rows.iter().map(Vec::len).chain([self.head.len()]).max().unwrap_or(0);
        let cell = |row: &Vec<(String, Tone)>, column: usize| {
            row.get(column).map_or(0, |(text, _)| width(text))
        };
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let head = self.head.get(column).map_or(0, |text| width(text));
                self.rows.iter().map(|row| cell(row, column)).chain([head]).max().unwrap_or(0)
            })
            .collect();
        let number = |text: &str| {
            text == "-"
                || text.starts_with(|c: char| c.is_ascii_digit())
                    && !text.contains(|c: char| c.is_ascii_alphabetic() && !"XPL%smh".contains(c))
        };
        let right: Vec<bool> = (0..columns)
            .map(|column| {
                let texts = || self.rows.iter().filter_map(|row| row.get(column));
                !self.head.is_empty()
                    && texts().next().is_some()
                    && texts().all(|(text, _)| number(text))
            })
            .collect();
        let head: Vec<(String, Tone)> =
            self.head.iter().map(|text| (text.clone(), Tone::Dim)).collect();
        let mut text = String::new();
        for row in std::iter::once(&head).filter(|head| !head.is_empty()).chain(&self.rows) {
            let mut written = String::new();
            for (column, (value, tone)) in row.iter().enumerate() {
                let pad = " ".repeat(widths[column].saturating_sub(width(value)));
                let painted = tone.paint(value, colour);
                if column > 0 {
                    written.push_str(GAP);
                }
                let parts = if right[column] { [pad, painted] } else { [painted, pad] };
                written.push_str(&parts.concat());
            }
            text.push_str(written.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Where everything is written to.
#[derive(Debug, Clone, Copy)]
pub struct Out {
    json: bool,
    colour: bool,
    quiet: bool,
}

impl Out {
    /// As asked for; colour only on a terminal and without `NO_COLOR`.
    pub fn new(json: bool, no_color: bool, quiet: bool) -> Self {
        let refused =
            no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { json, colour: !json && !refused && !dumb && io::stdout().is_terminal(), quiet }
    }

    /// Whether results are JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether only results are wanted.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether spinners may be shown.
    pub fn is_lively(&self) -> bool {
        !self.json && !self.quiet && io::stderr().is_terminal()
    }

    /// Text in a tone, for standard output.
    pub fn tone(&self, tone: Tone, text: &str) -> String {
        tone.paint(text, self.colour)
    }

    /// A result: text for people, or JSON.
    pub fn print(&self, text: &str, json: &impl Serialize) {
        if self.json {
            self.json(json);
        } else {
            say(&mut io::stdout().lock(), text);
        }
    }

    /// A result as a table.
    pub fn table(&self, table: &Table, when_empty: &str, json: &impl Serialize) {
        let text =
            if table.rows.is_empty() { when_empty.to_owned() } else { table.render(self.colour) };
        self.print(text.trim_end_matches('\n'), json);
    }

    /// Something was done.
    pub fn done(&self, text: &str, json: &impl Serialize) {
        if self.json || !self.quiet {
            self.print(&format!("{} {text}", self.tone(Tone::Good, "✓")), json);
        }
    }

    /// One JSON document on standard output.
    pub fn json(&self, json: &impl Serialize) {
        match serde_json::to_string_pretty(json) {
            Ok(text) => say(&mut io::stdout().lock(), &text),
            Err(error) => say(&mut io::stderr().lock(), &error.to_string()),
        }
    }

    /// A word beside the result, for people.
    pub fn note(&self, text: &str) {
        if !self.json && !self.quiet {
            let text = Tone::Dim.paint(text, self.colour && io::stderr().is_terminal());
            say(&mut io::stderr().lock(), &text);
        }
    }

    /// Something to look at; also when quiet.
    pub fn warn(&self, text: &str) {
        let text = if self.json {
            serde_json::json!({ "warning": text }).to_string()
        } else {
            format!(
                "{} {text}",
                Tone::Warn.paint("warning:", self.colour && io::stderr().is_terminal())
            )
        };
        say(&mut io::stderr().lock(), &text);
    }

    /// Why the command did not succeed.
    pub fn failure(&self, failure: &Failure) {
        let mut stderr = io::stderr().lock();
        if self.json {
            return say(&mut stderr, &failure.json().to_string());
        }
        let colour = self.colour && io::stderr().is_terminal();
        say(
            &mut stderr,
            &format!("{} {}", Tone::Bad.paint("error:", colour), clean(&failure.message)),
        );
        if let Some(hint) = &failure.hint {
            say(&mut stderr, &format!("{} {}", Tone::Dim.paint(" hint:", colour), clean(hint)));
        }
    }

    /// Shows that something is waited for, once it takes longer than a moment.
    pub fn spinner(&self, text: impl Into<String>) -> Spinner {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_message(text.into());
        let later = self.is_lively().then(|| {
            let template = if self.colour {
                "{spinner:.cyan} {msg} {elapsed:.dim}"
            } else {
                "{spinner} {msg} {elapsed}"
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            let bar = bar.clone();
            tokio::spawn(async move {
                tokio::time::sleep(SPINNER_AFTER).await;
                bar.set_draw_target(ProgressDrawTarget::stderr());
                bar.enable_steady_tick(SPINNER_TICK);
            })
        });
        Spinner { bar, later }
    }
}

/// Writes a line. A reader that has gone away (`| head`) is no error.
fn say(to: &mut impl Write, text: &str) {
    let _ = writeln!(to, "{text}").and_then(|()| to.flush());
}

/// Moves until it is dropped.
#[derive(Debug)]
pub struct Spinner {
    bar: ProgressBar,
    later: Option<tokio::task::JoinHandle<()>>,
}

impl Spinner {
    /// Says what is waited for now.
    pub fn say(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
    }

    /// Writes with the spinner out of the way.
    pub fn aside(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some(later) = &self.later {
            later.abort();
        }
        self.bar.finish_and_clear();
    }
}

fn descriptors() -> Result<&'static DescriptorPool> {
    static POOL: OnceLock<Option<DescriptorPool>> = OnceLock::new();
    POOL.get_or_init(|| DescriptorPool::decode(plasma_proto::DESCRIPTORS).ok())
        .as_ref()
        .ok_or_else(|| Failure::usage("this program's own protobuf descriptors cannot be read"))
}

/// A protobuf message in its JSON form: names as in the `.proto` files, 64-bit numbers as text, bytes in base64,
/// decimals with a point, defaults written out: as the node's REST port has it.
///
/// # Errors
/// If this program does not know the message's type.
pub fn proto_json<M: Message + Name>(message: &M) -> Result<Value> {
    let name = M::full_name();
    let known = descriptors()?
        .get_message_by_name(&name)
        .ok_or_else(|| Failure::usage(format!("this program has no description of {name}")))?;
    let failed = |error: String| Failure::usage(format!("{name} as JSON: {error}"));
    let dynamic = DynamicMessage::decode(known, message.encode_to_vec().as_slice())
        .map_err(|error| failed(error.to_string()))?;
    let options = SerializeOptions::new().use_proto_field_name(true).skip_default_fields(false);
    let mut json = dynamic
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|error| failed(error.to_string()))?;
    decimals::show(&dynamic.descriptor(), &mut json).map_err(failed)?;
    Ok(json)
}

/// Reads a protobuf message from its JSON form.
///
/// # Errors
/// If it is not the form of this message.
pub fn proto_from_json<M: Message + Name + Default>(json: &Value) -> Result<M> {
    let name = M::full_name();
    let known = descriptors()?
        .get_message_by_name(&name)
        .ok_or_else(|| Failure::usage(format!("this program has no description of {name}")))?;
    let failed = |error: String| Failure::usage(format!("this is no {name}: {error}"));
    let mut json = json.clone();
    decimals::read(&known, &mut json).map_err(failed)?;
    let dynamic =
        DynamicMessage::deserialize(known, json).map_err(|error| failed(error.to_string()))?;
    M::decode(dynamic.encode_to_vec().as_slice()).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plasma_proto::plasma::market::v1::{Job, JobState, Sampling};

    #[test]
    fn tables_line_up() {
        let mut table = Table::new(["NAME", "COUNT"]);
        table.row(["a".into(), "5".into()]);
        table.row(["long".into(), "1,234".into()]);
        assert_eq!(table.render(false), "NAME  COUNT\na         5\nlong  1,234\n");
        let mut fields = Table::fields();
        fields.field("state", "open\u{1b}[2J");
        fields.field("x", "");
        assert_eq!(fields.render(false), "state  open [2J\nx\n");
        assert!(fields.render(true).contains("\u{1b}[2mstate\u{1b}[0m"));
    }

    #[test]
    fn decimals_have_a_point_in_messages_too() {
        use plasma_proto::cosmos::staking::v1beta1::CommissionRates;
        let rates = CommissionRates {
            rate: "50000000000000000".into(),
            max_rate: "200000000000000000".into(),
            max_change_rate: "0".into(),
        };
        let json = proto_json(&rates).unwrap();
        assert_eq!(json["rate"], "0.050000000000000000");
        assert_eq!(proto_from_json::<CommissionRates>(&json).unwrap(), rates);
        let short =
            serde_json::json!({ "rate": "0.05", "max_rate": "0.2", "max_change_rate": "0" });
        assert_eq!(proto_from_json::<CommissionRates>(&short).unwrap(), rates);
        let wrong = serde_json::json!({ "rate": "5%" });
        assert!(proto_from_json::<CommissionRates>(&wrong).is_err());
    }

    #[test]
    fn terminals_are_not_commanded() {
        assert_eq!(clean("a\u{1b}[31m\nb\tc\u{7}\u{9b}"), "a[31m\nb\tc");
        assert_eq!(line("a\nb"), "a b");
    }

    #[test]
    fn messages_become_json_and_back() {
        let job = Job {
            id: 7,
            model_id: vec![1; 32],
            sampling: Some(Sampling { temperature_milli: 700, top_p_milli: 900, seed: u64::MAX }),
            state: JobState::Open.into(),
            ..Job::default()
        };
        let json = proto_json(&job).unwrap();
        assert_eq!(json["id"], "7");
        assert_eq!(json["state"], "JOB_STATE_OPEN");
        assert_eq!(json["max_tokens"], 0);
        assert_eq!(proto_from_json::<Job>(&json).unwrap(), job);
        assert!(proto_from_json::<Job>(&serde_json::json!({ "id": "x" })).is_err());
    }
}
