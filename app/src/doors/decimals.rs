//! Decimals of the Cosmos SDK: in protobuf an integer scaled by 10^18, in JSON with a point.

use std::{collections::HashSet, sync::LazyLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use plasma_proto::DESCRIPTORS;
use prost_reflect::{
    DescriptorPool, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor,
};
use serde_json::Value;

/// Digits after the point.
const DIGITS: usize = 18;

/// Names of the fields that the SDK keeps as a `LegacyDec`. Other fields that are annotated as
/// `cosmos.Dec` (those of gov, for example) are decimals with a point in protobuf too.
static FIELDS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let mut names = HashSet::new();
    let Ok(pool) = DescriptorPool::decode(DESCRIPTORS) else { return names };
    let scalar = pool.get_extension_by_name("cosmos_proto.scalar");
    let custom = pool.get_extension_by_name("gogoproto.customtype");
    let (Some(scalar), Some(custom)) = (scalar, custom) else { return names };
    for field in pool.all_messages().flat_map(|message| message.fields().collect::<Vec<_>>()) {
        let options = field.options();
        let text = |extension: &ExtensionDescriptor| {
            let value = options.get_extension(extension);
            value.as_str().unwrap_or_default().to_owned()
        };
        if text(&scalar) == "cosmos.Dec" && text(&custom).ends_with("LegacyDec") {
            names.insert(field.full_name().to_owned());
        }
    }
    names
});

/// Whether a field is one.
pub(super) fn is_decimal(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::String | Kind::Bytes) && FIELDS.contains(field.full_name())
}

/// `"100000000000000000"` becomes `"0.100000000000000000"`; what is no integer stays as it is.
pub(super) fn with_point(field: &FieldDescriptor, json: &mut Value) {
    let Value::String(text) = json else { return };
    let bytes = field.kind() == Kind::Bytes;
    let plain = if bytes { decoded(text) } else { Some(text.clone()) };
    let Some(plain) = plain else { return };
    let (sign, digits) = plain.strip_prefix('-').map_or(("", &plain[..]), |rest| ("-", rest));
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) || (digits.is_empty() && !bytes) {
        return;
    }
    let padded = format!("{digits:0>width$}", width = DIGITS + 1);
    let (whole, part) = padded.split_at(padded.len() - DIGITS);
    *text = format!("{sign}{whole}.{part}");
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}

/// The way back.
pub(super) fn without_point(field: &FieldDescriptor, json: &mut Value) -> Result<(), String> {
    let Value::String(text) = json else { return Ok(()) };
    let bad = || format!("{}: {text:?} is not a decimal with {DIGITS} digits", field.name());
    let (sign, digits) = text.strip_prefix('-').map_or(("", &text[..]), |rest| ("-", rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(part) || part.len() > DIGITS {
        return Err(bad());
    }
    let scaled = format!("{whole}{part:0<DIGITS$}");
    let scaled = scaled.trim_start_matches('0');
    let scaled = if scaled.is_empty() { "0".into() } else { format!("{sign}{scaled}") };
    *text = if field.kind() == Kind::Bytes { STANDARD.encode(scaled) } else { scaled };
    Ok(())
}

/// Puts the integers of protobuf where a client wrote decimals. A text that is not set stays so.
pub(super) fn read(desc: &MessageDescriptor, json: &mut Value) -> Result<(), String> {
    each(desc, json, &mut |field, value| match value.as_str() {
        Some("") => Ok(()),
        _ => without_point(field, value),
    })
}

/// Puts decimals where protobuf holds integers; [`read`] is the way back.
pub(super) fn show(desc: &MessageDescriptor, json: &mut Value) -> Result<(), String> {
    each(desc, json, &mut |field, value| {
        with_point(field, value);
        Ok(())
    })
}

/// Does `change` to every decimal of a message's JSON.
fn each(
    desc: &MessageDescriptor,
    json: &mut Value,
    change: &mut dyn FnMut(&FieldDescriptor, &mut Value) -> Result<(), String>,
) -> Result<(), String> {
    let Value::Object(fields) = json else { return Ok(()) };
    let inner = if desc.full_name() == "google.protobuf.Any" {
        let name = fields.get("@type").and_then(Value::as_str).and_then(|u| u.rsplit('/').next());
        name.and_then(|name| desc.parent_pool().get_message_by_name(name))
    } else {
        Some(desc.clone())
    };
    let Some(inner) = inner else { return Ok(()) };
    for (name, value) in fields {
        let field = inner.get_field_by_name(name).or_else(|| inner.get_field_by_json_name(name));
        let Some(field) = field.filter(|field| !field.is_map()) else { continue };
        let values = match value {
            Value::Array(list) if field.is_list() => &mut list[..],
            value => std::slice::from_mut(value),
        };
        for value in values {
            match field.kind() {
                Kind::Message(inner) => each(&inner, value, change)?,
                _ if is_decimal(&field) => change(&field, value)?,
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_go_both_ways() {
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        let coin = pool.get_message_by_name("cosmos.base.v1beta1.DecCoin").unwrap();
        let amount = coin.get_field_by_name("amount").unwrap();
        assert!(is_decimal(&amount));
        let whole = pool.get_message_by_name("cosmos.base.v1beta1.Coin").unwrap();
        assert!(!is_decimal(&whole.get_field_by_name("amount").unwrap()));
        for (scaled, shown) in [
            ("100000000000000000", "0.100000000000000000"),
            ("0", "0.000000000000000000"),
            ("1", "0.000000000000000001"),
            ("-2500000000000000000", "-2.500000000000000000"),
        ] {
            let mut json = Value::from(scaled);
            with_point(&amount, &mut json);
            assert_eq!(json, shown);
            let mut json = serde_json::json!({ "denom": "uxpl", "amount": shown });
            read(&coin, &mut json).unwrap();
            assert_eq!(json["amount"], scaled);
            show(&coin, &mut json).unwrap();
            assert_eq!(json["amount"], shown);
        }
        let mut short = Value::from("1.5");
        without_point(&amount, &mut short).unwrap();
        assert_eq!(short, "1500000000000000000");
        for bad in ["", ".5", "1e5", "0x10", "0.0000000000000000001", "--1"] {
            assert!(without_point(&amount, &mut Value::from(bad)).is_err(), "{bad}");
        }
    }
}
