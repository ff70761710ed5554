//! How messages look on the wire and in Cosmos' amino JSON: names, numbers, kinds and the `amino.*`
//! options of their `.proto` files, for code that must walk bytes without a Rust type.
//!
//! It holds every message that a transaction or a `Msg` service can carry, nested ones included.

include!("gen/schema.rs");

/// A message type.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Full protobuf name, without the slash of a type URL.
    pub name: &'static str,
    /// Its `amino.name`; empty where it has none.
    pub amino_name: &'static str,
    /// How amino JSON writes it.
    pub form: Form,
    /// Its fields, in the order of their amino JSON names.
    pub fields: &'static [Field],
}

/// How amino JSON writes a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An object of its fields.
    Object,
    /// `google.protobuf.Any`: `{"type":..,"value":..}`.
    Any,
    /// `google.protobuf.Timestamp`: text by RFC 3339.
    Timestamp,
    /// `google.protobuf.Duration`: nanoseconds as text.
    Duration,
    /// The bytes of its field `key`, in base64.
    KeyField,
    /// A multisig's key: `{"pubkeys":[..],"threshold":".."}`.
    ThresholdString,
    /// Not at all.
    Never,
}

/// A message's field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its number on the wire.
    pub number: u32,
    /// Its name in amino JSON.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it holds any number of them.
    pub repeated: bool,
    /// Whether all of them stand in one length-delimited record.
    pub packed: bool,
    /// Whether amino JSON writes it when it is empty.
    pub keep_empty: bool,
    /// How amino JSON writes it.
    pub encoding: Encoding,
    /// The amino JSON names of its oneof and of this choice; choices without a name cannot be
    /// written.
    pub oneof: Option<(&'static str, &'static str)>,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `bool`
    Bool,
    /// `int32`
    Int32,
    /// `int64`
    Int64,
    /// `uint32`
    Uint32,
    /// `uint64`
    Uint64,
    /// An enumeration.
    Enum,
    /// `sint32`, `sint64`
    Zigzag,
    /// `fixed32`, `sfixed32`, `float`
    Fixed32,
    /// `fixed64`, `sfixed64`, `double`
    Fixed64,
    /// `string`
    String,
    /// `bytes`
    Bytes,
    /// A message: its place in [`MESSAGES`].
    Message(u16),
}

/// How amino JSON writes a field, where its kind does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As its kind says.
    Plain,
    /// A list that is `[]` when empty, not `null`.
    LegacyCoins,
    /// An integer that is `"0"` when empty.
    Int,
    /// An integer scaled by 10^18 that is written with its 18 decimals.
    Dec,
    /// Not at all.
    Never,
}

/// The message of that full name.
pub fn message(name: &str) -> Option<&'static Message> {
    let at = MESSAGES.binary_search_by(|message| message.name.cmp(name)).ok()?;
    MESSAGES.get(at)
}

/// The message at a [`Kind::Message`]'s place.
pub fn at(place: u16) -> Option<&'static Message> {
    MESSAGES.get(usize::from(place))
}
