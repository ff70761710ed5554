//! Amino JSON, as `SIGN_MODE_LEGACY_AMINO_JSON` signs it and the Cosmos SDK's `x/tx` writes it:
//! compact, keys sorted, empty fields left out unless their `.proto` says otherwise. Made from a
//! message's bytes and its schema, so every message has it.

use alloc::{format, string::String, vec::Vec};

use plasma_proto::{
    cosmos::tx::v1beta1::{Fee, TxBody},
    schema::{self, Encoding, Field, Form, Kind, Message},
};
use prost::Message as _;
use prost_types::{Any, Timestamp};

use super::{
    time,
    wire::{self, NESTING_MAX, Record, Value},
};
use crate::{Sdk, types::base64};

/// Decimals of `cosmos.Dec`.
const DEC_DIGITS: usize = 18;

/// Longest text of an integer or a decimal, bytes; the SDK's hold 256 and 315 bits.
const NUMBER_BYTES_MAX: usize = 96;

/// Longest duration, seconds: its nanoseconds fit into 64 bits.
const DURATION_S_MAX: i64 = i64::MAX / 1_000_000_000 - 1;

/// What signs for an account, beside the transaction.
#[derive(Clone, Copy, Debug)]
pub struct SignerData<'a> {
    /// The chain.
    pub chain_id: &'a str,
    /// The account's number.
    pub account_number: u64,
    /// The signer's sequence.
    pub sequence: u64,
}

/// The bytes that a signer signs: the SDK's `AminoSignDoc`.
///
/// # Errors
/// A message that amino JSON cannot express.
pub fn sign_doc(body: &TxBody, fee: &Fee, signer: &SignerData<'_>) -> Result<String, Sdk> {
    let SignerData { chain_id, account_number, sequence } = signer;
    let mut out = format!("{{\"account_number\":\"{account_number}\",\"chain_id\":");
    text(&mut out, chain_id);
    out.push_str(",\"fee\":{\"amount\":[");
    for (at, coin) in fee.amount.iter().enumerate() {
        comma(&mut out, at);
        named(&mut out, "cosmos.base.v1beta1.Coin", &coin.encode_to_vec(), NESTING_MAX)?;
    }
    out.push_str(&format!("],\"gas\":\"{}\"", fee.gas_limit));
    for (name, address) in [("granter", &fee.granter), ("payer", &fee.payer)] {
        if !address.is_empty() {
            out.push_str(&format!(",\"{name}\":"));
            text(&mut out, address);
        }
    }
    out.push_str("},\"memo\":");
    text(&mut out, &body.memo);
    out.push_str(",\"msgs\":[");
    for (at, msg) in body.messages.iter().enumerate() {
        comma(&mut out, at);
        put_any(&mut out, msg)?;
    }
    out.push_str(&format!("],\"sequence\":\"{sequence}\""));
    if body.timeout_height != 0 {
        out.push_str(&format!(",\"timeout_height\":\"{}\"", body.timeout_height));
    }
    if let Some(Timestamp { seconds, nanos }) = body.timeout_timestamp {
        out.push_str(",\"timeout_timestamp\":");
        timestamp(&mut out, seconds, nanos.into())?;
    }
    if body.unordered {
        out.push_str(",\"unordered\":true");
    }
    out.push('}');
    Ok(out)
}

/// A message in amino JSON: `{"type":..,"value":..}`.
///
/// # Errors
/// A type without a schema, bytes that are not strictly of it, or what amino JSON cannot express.
pub fn json(any: &Any) -> Result<String, Sdk> {
    let mut out = String::new();
    put_any(&mut out, any)?;
    Ok(out)
}

fn put_any(out: &mut String, any: &Any) -> Result<(), Sdk> {
    let name = any.type_url.strip_prefix('/').unwrap_or_default();
    typed(out, name, &any.value, NESTING_MAX)
}

/// A message with its type.
fn typed(out: &mut String, name: &str, bytes: &[u8], levels: usize) -> Result<(), Sdk> {
    let message = find(name)?;
    out.push_str("{\"type\":\"");
    match message.amino_name {
        // As the SDK does for a message without an amino name.
        "" => out.extend(["/", name]),
        own => out.push_str(own),
    }
    out.push_str("\",\"value\":");
    put(out, message, bytes, levels)?;
    out.push('}');
    Ok(())
}

fn find(name: &str) -> Result<&'static Message, Sdk> {
    schema::message(name)
        .ok_or_else(|| Sdk::TxDecode(format!("unable to resolve type URL /{name}")))
}

fn named(out: &mut String, name: &str, bytes: &[u8], levels: usize) -> Result<(), Sdk> {
    put(out, find(name)?, bytes, levels)
}

fn refused(what: &str) -> Sdk {
    Sdk::NotSupported(format!("{what} cannot be signed in amino JSON: use SIGN_MODE_DIRECT"))
}

/// A message without its type.
fn put(
    out: &mut String,
    message: &'static Message,
    bytes: &[u8],
    levels: usize,
) -> Result<(), Sdk> {
    let below = levels.checked_sub(1).ok_or_else(wire::too_deep)?;
    let records = wire::records(message, bytes)?;
    match message.form {
        Form::Object => object(out, message, &records, below),
        Form::Any => {
            let (name, value) = wire::any_parts(&records)?;
            typed(out, name, value, below)
        }
        Form::Timestamp => {
            let [seconds, nanos] = seconds_and_nanos(&records);
            timestamp(out, seconds, nanos)
        }
        Form::Duration => {
            let [seconds, nanos] = seconds_and_nanos(&records);
            let total = Some(seconds)
                .filter(|seconds| *seconds <= DURATION_S_MAX)
                .and_then(|seconds| seconds.checked_mul(1_000_000_000)?.checked_add(nanos))
                .ok_or_else(|| refused("a duration above 292 years"))?;
            out.push_str(&format!("\"{total}\""));
            Ok(())
        }
        Form::KeyField => {
            match of(&records, "key").next() {
                Some(Value::Bytes(key)) if !key.is_empty() => quoted_base64(out, key),
                _ => out.push_str("null"),
            }
            Ok(())
        }
        Form::ThresholdString => {
            out.push_str("{\"pubkeys\":[");
            for (at, key) in of(&records, "pubkeys").enumerate() {
                comma(out, at);
                if let Value::Bytes(key) = key {
                    named(out, "google.protobuf.Any", key, below)?;
                }
            }
            let threshold = match of(&records, "threshold").next() {
                Some(Value::Number(threshold)) => threshold,
                _ => 0,
            };
            out.push_str(&format!("],\"threshold\":\"{threshold}\"}}"));
            Ok(())
        }
        Form::Never => Err(refused(message.name)),
    }
}

/// The values of the field of that amino name.
fn of<'a>(records: &[Record<'a>], name: &str) -> impl Iterator<Item = Value<'a>> {
    records.iter().filter(move |record| record.field.name == name).map(|record| record.value)
}

fn object(
    out: &mut String,
    message: &'static Message,
    records: &[Record<'_>],
    levels: usize,
) -> Result<(), Sdk> {
    out.push('{');
    let mut written = 0usize;
    let mut nulls: Vec<&str> = Vec::new();
    for field in message.fields {
        let mine = |record: &&Record<'_>| record.field.number == field.number;
        let values: Vec<Value<'_>> =
            records.iter().filter(mine).map(|record| record.value).collect();
        if let Some((oneof, choice)) = field.oneof {
            if choice.is_empty() {
                return Err(refused(message.name));
            }
            if let [value] = values.as_slice() {
                comma(out, written);
                out.push_str(&format!("\"{oneof}\":{{\"type\":\"{choice}\",\"value\":{{"));
                key(out, field.name);
                one(out, field, *value, levels)?;
                out.push_str("}}");
                written = written.saturating_add(1);
            } else if !nulls.contains(&oneof) && !records.iter().any(|other| chosen(other, oneof)) {
                comma(out, written);
                out.push_str(&format!("\"{oneof}\":null"));
                nulls.push(oneof);
                written = written.saturating_add(1);
            }
            continue;
        }
        let empty = values.iter().all(|value| is_empty(field, *value));
        if empty && !field.keep_empty {
            continue;
        }
        comma(out, written);
        key(out, field.name);
        if field.repeated {
            list(out, field, &values, levels)?;
        } else if let [value] = values.as_slice() {
            one(out, field, *value, levels)?;
        } else {
            absent(out, message, field)?;
        }
        written = written.saturating_add(1);
    }
    out.push('}');
    Ok(())
}

fn chosen(record: &Record<'_>, oneof: &str) -> bool {
    record.field.oneof.is_some_and(|(name, _)| name == oneof)
}

/// Whether a field's value is what it is when it is not there. A message that is there is not.
fn is_empty(field: &Field, value: Value<'_>) -> bool {
    match (field.kind, value) {
        _ if field.repeated && !field.packed => false,
        (Kind::Message(_), _) => false,
        (_, Value::Number(number)) => number == 0,
        (_, Value::Bytes(bytes)) => bytes.is_empty(),
    }
}

/// A field that is written although it is not there.
fn absent(out: &mut String, message: &Message, field: &Field) -> Result<(), Sdk> {
    let zero = match field.kind {
        // As in the SDK, where such a field is no pointer.
        Kind::Message(_) => {
            return Err(refused(&format!("{} without {}", message.name, field.name)));
        }
        Kind::Fixed32 | Kind::Fixed64 | Kind::Zigzag => return Err(refused(message.name)),
        Kind::String | Kind::Bytes => return one(out, field, Value::Bytes(&[]), 1),
        _ => Value::Number(0),
    };
    one(out, field, zero, 1)
}

fn list(out: &mut String, field: &Field, values: &[Value<'_>], levels: usize) -> Result<(), Sdk> {
    let mut numbers = Vec::new();
    let values = match values {
        [Value::Bytes(packed)] if field.packed => {
            let mut packed = *packed;
            while !packed.is_empty() {
                let number = wire::varint(&mut packed)
                    .ok_or_else(|| Sdk::TxDecode(format!("{} is cut", field.name)))?;
                numbers.push(Value::Number(number));
            }
            numbers.as_slice()
        }
        values => values,
    };
    match field.encoding {
        Encoding::Plain if values.is_empty() => out.push_str("null"),
        Encoding::Plain | Encoding::LegacyCoins => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                comma(out, at);
                plain(out, field, *value, levels)?;
            }
            out.push(']');
        }
        Encoding::Int | Encoding::Dec | Encoding::Never => return Err(refused(field.name)),
    }
    Ok(())
}

/// A value that stands alone.
fn one(out: &mut String, field: &Field, value: Value<'_>, levels: usize) -> Result<(), Sdk> {
    match (field.encoding, value) {
        (Encoding::Int | Encoding::Dec, Value::Bytes([])) => out.push_str("\"0\""),
        // The SDK passes the text of an integer on, and reads the bytes of one.
        (Encoding::Int, Value::Bytes(_)) if field.kind == Kind::String => {
            plain(out, field, value, levels)?;
        }
        (Encoding::Int, Value::Bytes(bytes)) => {
            let (minus, digits) = integer(bytes)?;
            out.push_str(&format!("\"{minus}{digits}\""));
        }
        (Encoding::Dec, Value::Bytes(bytes)) => {
            let (minus, digits) = integer(bytes)?;
            let padded = format!("{digits:0>width$}", width = DEC_DIGITS.saturating_add(1));
            let (whole, part) = padded
                .split_at_checked(padded.len().saturating_sub(DEC_DIGITS))
                .unwrap_or_default();
            out.push_str(&format!("\"{minus}{whole}.{part}\""));
        }
        // An empty slice that is no element of a list is `null` in Go.
        (Encoding::Plain, Value::Bytes([])) if field.kind == Kind::Bytes => out.push_str("null"),
        (Encoding::Plain, _) => plain(out, field, value, levels)?,
        _ => return Err(refused(field.name)),
    }
    Ok(())
}

/// A value as its kind says.
fn plain(out: &mut String, field: &Field, value: Value<'_>, levels: usize) -> Result<(), Sdk> {
    match (field.kind, value) {
        (Kind::Bool, Value::Number(0)) => out.push_str("false"),
        (Kind::Bool, Value::Number(1)) => out.push_str("true"),
        // Negative numbers of 32 bits are sign-extended on the wire.
        (Kind::Int32 | Kind::Enum, Value::Number(number)) => {
            let number = i32::try_from(number.cast_signed()).map_err(|_| out_of_range(field))?;
            out.push_str(&format!("{number}"));
        }
        (Kind::Uint32, Value::Number(number)) => {
            let number = u32::try_from(number).map_err(|_| out_of_range(field))?;
            out.push_str(&format!("{number}"));
        }
        (Kind::Int64, Value::Number(number)) => {
            out.push_str(&format!("\"{}\"", number.cast_signed()));
        }
        (Kind::Uint64, Value::Number(number)) => out.push_str(&format!("\"{number}\"")),
        (Kind::String, Value::Bytes(bytes)) => {
            let value = core::str::from_utf8(bytes)
                .map_err(|_| Sdk::TxDecode(format!("{} is not UTF-8", field.name)))?;
            text(out, value);
        }
        (Kind::Bytes, Value::Bytes(bytes)) => quoted_base64(out, bytes),
        (Kind::Message(place), Value::Bytes(bytes)) => put(out, wire::at(place)?, bytes, levels)?,
        (Kind::Bool, _) => return Err(out_of_range(field)),
        _ => return Err(refused(field.name)),
    }
    Ok(())
}

fn out_of_range(field: &Field) -> Sdk {
    Sdk::TxDecode(format!("{} is out of range", field.name))
}

/// Sign and digits of a decimal integer in its shortest form.
fn integer(bytes: &[u8]) -> Result<(&'static str, &str), Sdk> {
    let bad = || Sdk::TxDecode("a number is not a decimal integer in its shortest form".into());
    let number = core::str::from_utf8(bytes).map_err(|_| bad())?;
    let (minus, digits) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let shortest = !digits.starts_with('0') || number == "0";
    if digits.is_empty()
        || digits.len() > NUMBER_BYTES_MAX
        || !digits.bytes().all(|byte| byte.is_ascii_digit())
        || !shortest
    {
        return Err(bad());
    }
    Ok((minus, digits))
}

fn seconds_and_nanos(records: &[Record<'_>]) -> [i64; 2] {
    ["seconds", "nanos"].map(|name| match of(records, name).next() {
        Some(Value::Number(number)) => number.cast_signed(),
        _ => 0,
    })
}

fn timestamp(out: &mut String, seconds: i64, nanos: i64) -> Result<(), Sdk> {
    let time =
        time::rfc3339(seconds, nanos).ok_or_else(|| refused("a time outside year 1-9999"))?;
    out.push_str(&format!("\"{time}\""));
    Ok(())
}

fn comma(out: &mut String, before: usize) {
    if before > 0 {
        out.push(',');
    }
}

fn key(out: &mut String, name: &str) {
    text(out, name);
    out.push(':');
}

fn quoted_base64(out: &mut String, bytes: &[u8]) {
    out.push('"');
    out.push_str(&base64(bytes));
    out.push('"');
}

/// JSON text as Go's `encoding/json` writes it: `<`, `>`, `&`, U+2028 and U+2029 escaped too.
fn text(out: &mut String, value: &str) {
    out.push('"');
    for letter in value.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
}
