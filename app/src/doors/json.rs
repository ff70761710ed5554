//! Requests from URL fields, and protobuf JSON as Cosmos clients read it.

use prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor,
    ReflectMessage, SerializeOptions,
};
use serde_json::{Map, Value};

use super::decimals;

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

/// An encoded message as JSON, unset messages as null, decimals with a point.
pub fn encoded_to_json(desc: MessageDescriptor, bytes: &[u8]) -> Result<Value, String> {
    let message = DynamicMessage::decode(desc, bytes).map_err(|error| error.to_string())?;
    let mut json = to_json(&message)?;
    show_unset(&message.descriptor(), &mut json);
    Ok(json)
}

/// Cosmos' gateway shows a message that is not set as null, `pub_key` for example; protobuf JSON
/// leaves it out.
fn show_unset(desc: &MessageDescriptor, json: &mut Value) {
    let Value::Object(json) = json else { return };
    if desc.full_name() == "google.protobuf.Any" {
        let name = json.get("@type").and_then(Value::as_str).and_then(|url| url.rsplit('/').next());
        let inner = name.and_then(|name| desc.parent_pool().get_message_by_name(name));
        if let Some(inner) = inner {
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
