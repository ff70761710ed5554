//! Protobuf bytes read by the schema of their message, strictly: fields known and ascending,
//! varints as short as possible (ADR-027), nesting bounded, into each `Any` whose type is known.

use alloc::{format, vec::Vec};

use plasma_proto::schema::{self, Field, Form, Kind, Message};

use crate::Sdk;

/// Deepest nesting of messages in a transaction's body or signers, an `Any` and what it holds
/// counted one each.
pub const NESTING_MAX: usize = 16;

/// A field as it stands in the bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    /// Which field.
    pub field: &'static Field,
    /// What it holds.
    pub value: Value<'a>,
}

/// What a record holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// A varint, or the bits of a fixed number.
    Number(u64),
    /// Text, bytes, a message or packed numbers.
    Bytes(&'a [u8]),
}

/// Refuses bytes that are not strictly of `message`, at any depth up to [`NESTING_MAX`].
pub fn check(message: &'static Message, bytes: &[u8]) -> Result<(), Sdk> {
    check_within(message, bytes, NESTING_MAX)
}

/// As [`check`], for the message of that full name.
pub(super) fn check_named(name: &str, bytes: &[u8]) -> Result<(), Sdk> {
    let message = schema::message(name)
        .ok_or_else(|| Sdk::TxDecode(format!("no schema of {name}: it cannot be read")))?;
    check(message, bytes)
}

fn check_within(message: &'static Message, bytes: &[u8], levels: usize) -> Result<(), Sdk> {
    let below = levels.checked_sub(1).ok_or_else(too_deep)?;
    let records = records(message, bytes)?;
    for record in &records {
        if let (Kind::Message(place), Value::Bytes(inner)) = (record.field.kind, record.value) {
            check_within(at(place)?, inner, below)?;
        }
    }
    if message.form == Form::Any
        && let (name, value) = any_parts(&records)?
        && let Some(inner) = schema::message(name)
    {
        check_within(inner, value, below)?;
    }
    Ok(())
}

/// The message that a field holds.
pub(super) fn at(place: u16) -> Result<&'static Message, Sdk> {
    schema::at(place).ok_or_else(|| Sdk::TxDecode(format!("no schema at {place}")))
}

/// What is said of bytes that nest too deep.
pub(super) fn too_deep() -> Sdk {
    Sdk::TxDecode(format!("messages are nested deeper than {NESTING_MAX}"))
}

/// The full name and the bytes that an `Any` holds.
pub(super) fn any_parts<'a>(records: &[Record<'a>]) -> Result<(&'a str, &'a [u8]), Sdk> {
    let (mut url, mut value): (&[u8], &[u8]) = (&[], &[]);
    for record in records {
        match (record.field.number, record.value) {
            (1, Value::Bytes(bytes)) => url = bytes,
            (2, Value::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    let url =
        core::str::from_utf8(url).map_err(|_| Sdk::TxDecode("a type URL is not UTF-8".into()))?;
    let name = url
        .strip_prefix('/')
        .ok_or_else(|| Sdk::TxDecode(format!("type URL {url:?} does not begin with a slash")))?;
    Ok((name, value))
}

/// The fields of a message, in the order of their numbers.
pub(super) fn records<'a>(
    message: &'static Message,
    mut bytes: &'a [u8],
) -> Result<Vec<Record<'a>>, Sdk> {
    let bad = |what: &str| Sdk::TxDecode(format!("{}: {what}", message.name));
    let mut records: Vec<Record<'a>> = Vec::new();
    let mut last = 0;
    while !bytes.is_empty() {
        let tag = varint(&mut bytes).ok_or_else(|| bad("a tag is no shortest varint"))?;
        let (number, wire) = (tag >> 3, tag & 7);
        let field = message
            .fields
            .iter()
            .find(|field| u64::from(field.number) == number)
            .ok_or_else(|| bad(&format!("unknown fields: there is no field {number}")))?;
        let (name, repeats) = (field.name, field.repeated && !field.packed);
        if number < last || (number == last && !repeats) {
            return Err(bad(&format!("field {name} is out of order or stands twice")));
        }
        last = number;
        if wire != wire_type(field) {
            return Err(bad(&format!("field {name} has wire type {wire}")));
        }
        let value = match wire {
            0 => varint(&mut bytes).map(Value::Number),
            1 => fixed::<8>(&mut bytes).map(|bytes| Value::Number(u64::from_le_bytes(bytes))),
            5 => fixed::<4>(&mut bytes)
                .map(|bytes| Value::Number(u64::from(u32::from_le_bytes(bytes)))),
            _ => varint(&mut bytes)
                .and_then(|len| usize::try_from(len).ok())
                .and_then(|len| bytes.split_at_checked(len))
                .map(|(head, tail)| {
                    bytes = tail;
                    Value::Bytes(head)
                }),
        };
        let value = value.ok_or_else(|| bad(&format!("field {name} is cut or too long")))?;
        records.push(Record { field, value });
    }
    Ok(records)
}

fn wire_type(field: &Field) -> u64 {
    match field.kind {
        _ if field.packed => 2,
        Kind::Bool
        | Kind::Int32
        | Kind::Int64
        | Kind::Uint32
        | Kind::Uint64
        | Kind::Enum
        | Kind::Zigzag => 0,
        Kind::Fixed64 => 1,
        Kind::String | Kind::Bytes | Kind::Message(_) => 2,
        Kind::Fixed32 => 5,
    }
}

/// A varint of up to 64 bits with no byte that could be left out.
pub(super) fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0u32..64).step_by(7) {
        let (byte, tail) = bytes.split_first()?;
        *bytes = tail;
        let digit = u64::from(byte & 0x7f);
        // Shifted out of the top, or a last byte of zero: not the shortest.
        if shift == 63 && digit > 1 {
            return None;
        }
        value |= digit << shift;
        if byte & 0x80 == 0 {
            return (digit != 0 || shift == 0).then_some(value);
        }
    }
    None
}

fn fixed<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = bytes.split_first_chunk()?;
    *bytes = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_is_read_if_it_is_the_shortest() {
        for value in [0, 1, 127, 128, 300, 1 << 35, u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            prost::encoding::encode_varint(value, &mut bytes);
            assert_eq!(varint(&mut bytes.as_slice()), Some(value));
            *bytes.last_mut().unwrap() |= 0x80;
            bytes.push(0);
            assert_eq!(varint(&mut bytes.as_slice()), None, "{value} with a byte too many");
        }
        let mut eleven: &[u8] = &[0xff; 11];
        assert_eq!(varint(&mut eleven), None);
        let mut wide: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(varint(&mut wide), None);
    }
}
