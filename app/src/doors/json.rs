//! Requests from URL fields, and protobuf JSON as Cosmos clients read it.

use prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor,
    ReflectMessage, SerializeOptions, Value as Inner,
};
use serde_json::{Map, Value};

use super::decimals;

/// Messages inside of each other that are shown at most; no transaction of a block has half as many.
const NESTING_MAX: usize = 64;
/// Nesting of a field's name in a URL.
const FIELD_DEPTH_MAX: usize = 8;

/// 64-bit integers as text, enums by name, defaults shown, names as in the `.proto` files.
pub fn to_json(message: &DynamicMessage) -> Result<Value, String> {
    let options = SerializeOptions::new()
        .stringify_64_bit_integers(true)
        .use_enum_numbers(false)
        .use_proto_field_name(true)
        .skip_default_fields(false);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|error| error.to_string())
}

/// An encoded message as JSON, unset messages as null, decimals with a point. Refused if messages stand
/// in each other deeper than [`NESTING_MAX`]: a few bytes each are a level, and each level is stack.
pub fn encoded_to_json(desc: MessageDescriptor, bytes: &[u8]) -> Result<Value, String> {
    let message = DynamicMessage::decode(desc, bytes).map_err(|error| error.to_string())?;
    check_nesting(&message, NESTING_MAX)?;
    let mut json = to_json(&message)?;
    show_unset(&message.descriptor(), &mut json);
    Ok(json)
}

/// Whether a message has at most `left` messages inside of each other, those inside of an `Any` among
/// them.
fn check_nesting(message: &DynamicMessage, left: usize) -> Result<(), String> {
    let too_deep = || format!("messages are nested deeper than {NESTING_MAX}");
    let left = left.checked_sub(1).ok_or_else(too_deep)?;
    let inside = |value: &Inner| match value {
        Inner::Message(inner) => check_nesting(inner, left),
        _ => Ok(()),
    };
    for (_, value) in message.fields() {
        match value {
            Inner::List(list) => list.iter().try_for_each(inside)?,
            Inner::Map(map) => map.values().try_for_each(inside)?,
            one => inside(one)?,
        }
    }
    let desc = message.descriptor();
    if desc.full_name() != "google.protobuf.Any" {
        return Ok(());
    }
    let (url, value) = (message.get_field_by_name("type_url"), message.get_field_by_name("value"));
    let url = url.as_ref().and_then(|url| url.as_str()).unwrap_or_default();
    let name = url.rsplit('/').next().unwrap_or_default();
    let inner = desc.parent_pool().get_message_by_name(name);
    match (inner, value.as_ref().and_then(|value| value.as_bytes())) {
        // What does not decode is not shown either.
        (Some(inner), Some(value)) => DynamicMessage::decode(inner, value.clone())
            .map_or(Ok(()), |inner| check_nesting(&inner, left)),
        _ => Ok(()),
    }
}

/// Cosmos' gateway shows a message that is not set as null, `pub_key` for example, and bytes that are not, `next_key`;
/// protobuf JSON leaves the one out and shows the other as "".
fn show_unset(desc: &MessageDescriptor, json: &mut Value) {
    let Value::Object(json) = json else { return };
    if desc.full_name() == "google.protobuf.Any" {
        let name = json.get("@type").and_then(Value::as_str).and_then(|url| url.rsplit('/').next());
        let inner = name.and_then(|name| desc.parent_pool().get_message_by_name(name));
        if let Some(inner) = inner.filter(|inner| inner.package_name() != "google.protobuf") {
            show_unset_fields(&inner, json);
        }
    } else if desc.package_name() != "google.protobuf" {
        show_unset_fields(desc, json);
    }
}

fn show_unset_fields(desc: &MessageDescriptor, json: &mut Map<String, Value>) {
    for field in desc.fields() {
        let Kind::Message(inner) = field.kind() else {
            if decimals::is_decimal(&field) {
                match json.get_mut(field.name()) {
                    Some(Value::Array(list)) => {
                        list.iter_mut().for_each(|json| decimals::with_point(&field, json));
                    }
                    Some(json) => decimals::with_point(&field, json),
                    None => {}
                }
            }
            if field.kind() == Kind::Bytes
                && field.containing_oneof().is_none()
                && let Some(json) = json.get_mut(field.name())
                && json.as_str() == Some("")
            {
                *json = Value::Null;
            }
            continue;
        };
        match json.get_mut(field.name()) {
            Some(Value::Array(list)) if field.is_list() => {
                list.iter_mut().for_each(|json| show_unset(&inner, json));
            }
            Some(json) if !field.is_map() => show_unset(&inner, json),
            None if !field.is_list() && !field.is_map() && field.containing_oneof().is_none() => {
                json.insert(field.name().to_owned(), Value::Null);
            }
            _ => {}
        }
    }
}

/// JSON as a message, decimals with or without a point. Unknown fields are refused.
pub fn from_json(desc: MessageDescriptor, mut json: Value) -> Result<DynamicMessage, String> {
    decimals::read(&desc, &mut json)?;
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    DynamicMessage::deserialize_with_options(desc, json, &options)
        .map_err(|error| error.to_string())
}

/// A message of this crate's pool by its Rust type, as JSON that [`from_json`] reads, decimals with a
/// point.
pub fn message_to_json<M: Message + prost::Name>(
    pool: &DescriptorPool,
    message: &M,
) -> Result<Value, String> {
    let desc = pool.get_message_by_name(&M::full_name());
    let desc = desc.ok_or_else(|| format!("{} has no descriptor", M::full_name()))?;
    let message = DynamicMessage::decode(desc.clone(), &message.encode_to_vec()[..]);
    let mut json = to_json(&message.map_err(|error| error.to_string())?)?;
    decimals::show(&desc, &mut json)?;
    Ok(json)
}

/// Puts URL fields (`pagination.limit=5`) into JSON that the message's parser takes. Fields that
/// the message does not have are left out, as Cosmos' gateway does.
pub fn put(
    desc: &MessageDescriptor,
    json: &mut Map<String, Value>,
    name: &str,
    value: &str,
) -> Result<(), String> {
    put_at(desc, json, name, value, FIELD_DEPTH_MAX)
}

fn put_at(
    desc: &MessageDescriptor,
    json: &mut Map<String, Value>,
    name: &str,
    value: &str,
    depth: usize,
) -> Result<(), String> {
    let (first, rest) = name.split_once('.').map_or((name, None), |(a, b)| (a, Some(b)));
    let field = desc.get_field_by_name(first).or_else(|| desc.get_field_by_json_name(first));
    let Some(field) = field else { return Ok(()) };
    if let (Some(rest), Kind::Message(inner)) = (rest, field.kind()) {
        let slot = json.entry(field.name()).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(slot) = slot else { return Err(format!("{first} stands twice")) };
        let depth = depth.checked_sub(1).ok_or("a field name with too many dots")?;
        return put_at(&inner, slot, rest, value, depth);
    }
    if rest.is_some() {
        return Ok(());
    }
    let value = scalar(&field, value)?;
    if field.is_list() {
        let slot = json.entry(field.name()).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = slot {
            list.push(value);
        }
    } else {
        json.insert(field.name().to_owned(), value);
    }
    Ok(())
}

fn scalar(field: &FieldDescriptor, value: &str) -> Result<Value, String> {
    Ok(match field.kind() {
        Kind::Bool => match value {
            "true" | "1" => true.into(),
            "false" | "0" | "" => false.into(),
            other => return Err(format!("{}: {other:?} is neither true nor false", field.name())),
        },
        Kind::Enum(_) => match value.parse::<i32>() {
            Ok(number) => number.into(),
            Err(_) => value.into(),
        },
        // A URL may carry either alphabet of base64; a plus in it may have become a space.
        Kind::Bytes => value.replace([' ', '-'], "+").replace('_', "/").into(),
        // Numbers may be text in protobuf JSON.
        _ => value.into(),
    })
}
