//! From bytes to a transaction whose signatures hold: `bytes -> Decoded -> Authenticated`.
//!
//! A transaction is Cosmos' `TxRaw`, signed with secp256k1 keys in `SIGN_MODE_DIRECT` or
//! `SIGN_MODE_LEGACY_AMINO_JSON`, the latter in multisigs too. Its bytes are canonical protobuf: what
//! does not encode back to itself (unknown fields, other orders, longer varints) is refused, so a
//! transaction has one hash.

pub mod amino;
mod signature;
mod simulate;
mod time;
pub mod wire;

use alloc::{boxed::Box, collections::BTreeMap, format, string::String, sync::Arc, vec::Vec};

use once_cell::race::OnceBox;
use plasma_proto::cosmos::{
    auth::v1beta1::BaseAccount,
    tx::v1beta1::{AuthInfo, Fee, SignDoc, TxBody, TxRaw},
};
use prost::{Message, Name};

pub use self::signature::{Mode, Signed, verify_ed25519};
use self::signature::{keys, mode, signatures, verify_secp256k1};
pub(crate) use self::time::{LAST_S as TIME_LAST_S, rfc3339};
use crate::{
    Address, Amount, Denom, Read, Refusal, Sdk,
    auth::{self, PublicKey, Timeout},
    carrier,
    msg::Msg,
    types::{Hash, digest, sha256},
};

/// Largest transaction, bytes.
pub const TX_BYTES_MAX: usize = 64 << 10;

/// Most messages of one transaction.
pub const MESSAGES_MAX: usize = 64;

/// Most signers of one transaction.
pub const SIGNERS_MAX: usize = 8;

/// Most signatures of one transaction, those within multisigs counted.
pub const SIGNATURES_MAX: usize = 16;

/// First byte of a block's transactions that the application puts there itself. No `TxRaw` begins
/// with it, and nobody can send one.
pub const INJECTED_TX_PREFIX: u8 = 0x00;

/// Remembers what was found out about transactions, between CheckTx and FinalizeBlock. What it says
/// can only save work: a digest binds the signed bytes, the key and the signature, and what bytes
/// decode to depends on them alone.
pub trait SignatureMemory {
    /// Whether this check has passed before.
    fn knows(&self, digest: &Hash) -> bool;
    /// Notes that this check has passed.
    fn learn(&self, digest: Hash);

    /// The point of the curve that a compressed key stands for, computed now or before.
    fn point(&self, key: &[u8; 33]) -> Option<secp256k1::PublicKey> {
        secp256k1::PublicKey::from_byte_array_compressed(*key).ok()
    }

    /// The transaction that these bytes are, to be executed: read now, or when they were seen first.
    fn decode(&self, bytes: &[u8]) -> Result<Arc<Decoded>, Refusal> {
        decode(bytes, Purpose::Execute).map(Arc::new)
    }
}

/// Remembers nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMemory;

impl SignatureMemory for NoMemory {
    fn knows(&self, _: &Hash) -> bool {
        false
    }

    fn learn(&self, _: Hash) {}
}

/// One who signs: which key, and which of its transactions this is.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The account.
    pub address: Address,
    /// Its key, where the transaction brings it.
    pub key: Option<PublicKey>,
    /// The account's next sequence, as the signer knows it; 0 in an unordered transaction.
    pub sequence: u64,
    /// Whether the key that it brings is of this account; true where it brings none.
    pub key_fits: bool,
    /// How it signs.
    pub mode: Mode,
    /// Its signatures: one, or those of a multisig's members in their order. A simulation's may be
    /// empty or missing.
    pub signatures: Vec<Vec<u8>>,
}

impl Signer {
    /// How many signatures are to be checked.
    pub fn signature_count(&self) -> usize {
        match &self.mode {
            Mode::Single(_) => 1,
            Mode::Multi(bits) => bits.iter().filter(|bit| **bit).count(),
        }
    }
}

/// A transaction that is well formed.
#[derive(Debug)]
pub struct Decoded {
    /// What it is named by: sha256 of its bytes.
    pub hash: Hash,
    /// What it asks for, in order.
    pub msgs: Vec<Msg>,
    /// Who must sign, in order of their messages; the fee payer last if not among them.
    pub signers: Vec<Signer>,
    /// Who answers for the fee.
    pub fee_payer: Address,
    /// Whose money the fee is to be, where that is another's by an allowance.
    pub fee_granter: Option<Address>,
    /// The fee, uxpl.
    pub fee: Amount,
    /// Most gas that it may cost.
    pub gas_limit: u64,
    /// Last block that may hold it; 0 for any.
    pub timeout_height: u64,
    /// Last time of a block that may hold it.
    pub timeout: Option<Timeout>,
    /// Whether it has no place in its signers' sequences. Its timeout is then what tells it from
    /// their other transactions, and is there.
    pub unordered: bool,
    /// Bytes of the memo.
    pub memo_len: usize,
    /// Bytes of the transaction.
    pub size: usize,
    /// Signatures to be checked.
    pub signature_count: usize,
    raw: TxRaw,
    proven: OnceBox<Proven>,
}

/// What signatures were found to hold for. They hold for nothing else, and for this always.
#[derive(Debug)]
struct Proven {
    chain_id: String,
    /// Of each signer: number, and the key where the transaction does not bring it.
    accounts: Vec<(u64, Option<PublicKey>)>,
}

impl Proven {
    fn is_of(&self, chain_id: &str, signers: &[Signer], accounts: &[BaseAccount]) -> bool {
        let fits = |(account, signer, (number, key)): (&BaseAccount, &Signer, &(u64, _))| {
            account.account_number == *number
                && (signer.key.is_some() || auth::key(account) == *key)
        };
        let triples = accounts.iter().zip(signers).zip(&self.accounts);
        self.chain_id == chain_id
            && accounts.len() == self.accounts.len()
            && triples.map(|((account, signer), proven)| (account, signer, proven)).all(fits)
    }
}

impl Decoded {
    /// From whose balance the fee is taken.
    pub fn purse(&self) -> Address {
        self.fee_granter.unwrap_or(self.fee_payer)
    }

    /// Whether its signatures were found to hold, for accounts as they were then.
    pub fn is_proven(&self) -> bool {
        self.proven.get().is_some()
    }
}

/// A transaction whose signatures hold. Made by [`authenticate`] alone.
#[derive(Clone, Debug)]
pub struct Authenticated(Arc<Decoded>);

impl Authenticated {
    /// The transaction.
    pub fn tx(&self) -> &Decoded {
        &self.0
    }

    /// The signatures, for their events: of a multisig each member's, then the whole.
    pub fn signatures(&self) -> impl Iterator<Item = &[u8]> {
        let Decoded { signers, raw, .. } = &*self.0;
        signers.iter().zip(&raw.signatures).flat_map(|(signer, whole)| {
            let members = match &signer.mode {
                Mode::Single(_) => &[],
                Mode::Multi(_) => signer.signatures.as_slice(),
            };
            members.iter().chain([whole]).map(Vec::as_slice)
        })
    }
}

/// Whether signatures are there to be checked, or the cost alone is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be executed.
    Execute,
    /// To be simulated: signatures and the fee may be empty, the sign mode unspecified.
    Simulate,
}

/// Reads a transaction. Pure and bounded.
pub fn decode(bytes: &[u8], purpose: Purpose) -> Result<Decoded, Refusal> {
    decode_named(sha256(bytes), bytes, purpose)
}

/// [`decode`] of bytes whose sha256 is known to be `hash`.
pub fn decode_named(hash: Hash, bytes: &[u8], purpose: Purpose) -> Result<Decoded, Refusal> {
    if bytes.len() > TX_BYTES_MAX {
        return Err(Sdk::TxTooLarge { len: bytes.len(), max: TX_BYTES_MAX }.into());
    }
    if bytes.first() == Some(&INJECTED_TX_PREFIX) {
        return Err(Sdk::TxDecode("begins with the byte of injected transactions".into()).into());
    }
    if carrier::is_carrier(bytes) {
        return Err(Sdk::TxDecode("begins with the byte of carriers".into()).into());
    }
    let raw: TxRaw = strict(bytes)?;
    let body: TxBody = strict(&raw.body_bytes)?;
    let auth_info: AuthInfo = strict(&raw.auth_info_bytes)?;

    let options = body.extension_options.iter().chain(&body.non_critical_extension_options);
    if let Some(option) = options.into_iter().next() {
        return Err(Sdk::UnknownExtension(option.type_url.clone()).into());
    }
    let timeout = body.timeout_timestamp.as_ref().map(Timeout::new).transpose()?;
    if body.unordered && timeout.is_none() {
        let text = "unordered transaction must have timeout_timestamp set";
        return Err(Sdk::InvalidRequest(text.into()).into());
    }
    if body.messages.is_empty() {
        return Err(Sdk::InvalidRequest("must contain at least one message".into()).into());
    }
    if body.messages.len() > MESSAGES_MAX {
        let text = format!("{} messages, at most {MESSAGES_MAX}", body.messages.len());
        return Err(Sdk::InvalidRequest(text).into());
    }
    let msgs = body.messages.iter().map(Msg::from_any).collect::<Result<Vec<_>, _>>()?;
    let count = msgs.iter().map(Msg::count).fold(0, usize::saturating_add);
    if count > MESSAGES_MAX {
        let text = format!("{count} messages with those inside of others, at most {MESSAGES_MAX}");
        return Err(Sdk::InvalidRequest(text).into());
    }

    #[expect(deprecated, reason = "a field of AuthInfo that must be absent")]
    if auth_info.tip.is_some() {
        return Err(Sdk::NotSupported(
            "tips by a field: what a fee exceeds its price by is the tip".into(),
        )
        .into());
    }
    let fee = match (auth_info.fee, purpose) {
        (Some(fee), _) => fee,
        (None, Purpose::Simulate) => Fee::default(),
        (None, Purpose::Execute) => {
            return Err(Sdk::InvalidRequest("the fee is missing".into()).into());
        }
    };
    let fee_granter = match fee.granter.as_str() {
        "" => None,
        granter => Some(Address::parse(granter)?),
    };

    let mut addresses: Vec<Address> = Vec::new();
    for signer in msgs.iter().map(Msg::signer) {
        if !addresses.contains(&signer) {
            addresses.push(signer);
        }
    }
    let first = *addresses.first().ok_or(Sdk::NoSignatures)?;
    let fee_payer = if fee.payer.is_empty() { first } else { Address::parse(&fee.payer)? };
    if !addresses.contains(&fee_payer) {
        addresses.push(fee_payer);
    }
    if addresses.len() > SIGNERS_MAX {
        let text = format!("{} signers, at most {SIGNERS_MAX}", addresses.len());
        return Err(Sdk::TooManySignatures(text).into());
    }
    if raw.signatures.is_empty() {
        return Err(Sdk::NoSignatures.into());
    }
    if auth_info.signer_infos.len() != addresses.len() || raw.signatures.len() != addresses.len() {
        let text = format!(
            "wrong number of signers: {} needed, {} signer infos and {} signatures given",
            addresses.len(),
            auth_info.signer_infos.len(),
            raw.signatures.len()
        );
        return Err(Sdk::Unauthorized(text).into());
    }
    let mut signers = Vec::with_capacity(addresses.len());
    for ((address, info), signature) in
        addresses.into_iter().zip(auth_info.signer_infos).zip(&raw.signatures)
    {
        let mode = mode(info.mode_info, purpose)?;
        let signatures = signatures(&mode, signature, purpose)?;
        let key = info.public_key.as_ref().map(PublicKey::from_any).transpose()?;
        let key_fits = key.as_ref().is_none_or(|key| key.address() == address);
        signers.push(Signer { address, key, sequence: info.sequence, key_fits, mode, signatures });
    }
    let signature_count = signers.iter().map(Signer::signature_count).sum();
    if signature_count > SIGNATURES_MAX {
        let text = format!("{signature_count} signatures, at most {SIGNATURES_MAX}");
        return Err(Sdk::TooManySignatures(text).into());
    }

    Ok(Decoded {
        hash,
        msgs,
        signers,
        fee_payer,
        fee_granter,
        fee: fee_amount(&fee.amount)?,
        gas_limit: fee.gas_limit,
        timeout_height: body.timeout_height,
        timeout,
        unordered: body.unordered,
        memo_len: body.memo.len(),
        size: bytes.len(),
        signature_count,
        raw,
        proven: OnceBox::new(),
    })
}

/// Checks every signature against its account's key, number and sequence: pure, given those.
pub fn authenticate(
    store: &dyn Read,
    chain_id: &str,
    tx: Arc<Decoded>,
    memory: &dyn SignatureMemory,
) -> Result<Authenticated, Refusal> {
    let account = |signer: &Signer| {
        auth::account(store, signer.address).ok_or_else(|| unknown(signer.address))
    };
    let accounts = tx.signers.iter().map(account).collect::<Result<Vec<_>, _>>()?;
    authenticate_as(&accounts, chain_id, tx, memory)
}

/// [`authenticate`], with the signers' accounts as they stand.
pub(crate) fn authenticate_as(
    accounts: &[BaseAccount],
    chain_id: &str,
    tx: Arc<Decoded>,
    memory: &dyn SignatureMemory,
) -> Result<Authenticated, Refusal> {
    if tx.proven.get().is_some_and(|proven| proven.is_of(chain_id, &tx.signers, accounts)) {
        return Ok(Authenticated(tx));
    }
    let mut proven = Vec::with_capacity(accounts.len());
    for (signer, account) in tx.signers.iter().zip(accounts) {
        let own = signer.key.is_none().then(|| auth::key(account)).flatten();
        let key = signer.key.as_ref().or(own.as_ref()).ok_or_else(|| {
            Sdk::InvalidPubKey(format!("{} has not shown its public key yet", signer.address))
        })?;
        let (signed, keys) = keys(key, &signer.mode)?;
        let (number, sequence) = (account.account_number, signer.sequence);
        let signed = match signed {
            Signed::Direct => {
                sign_bytes(&tx.raw.body_bytes, &tx.raw.auth_info_bytes, chain_id, number)
            }
            Signed::AminoJson => {
                let data = amino::SignerData { chain_id, account_number: number, sequence };
                let body: TxBody = canonical(&tx.raw.body_bytes, "TxBody")?;
                let auth_info: AuthInfo = canonical(&tx.raw.auth_info_bytes, "AuthInfo")?;
                let fee = auth_info.fee.unwrap_or_default();
                amino::sign_doc(&body, &fee, &data)?.into_bytes()
            }
        };
        for (key, signature) in keys.into_iter().zip(&signer.signatures) {
            let known = digest(&[b"xpl/checked/v1", &signed, key, signature]);
            if memory.knows(&known) {
                continue;
            }
            let point = memory.point(key);
            if !point.is_some_and(|point| verify_secp256k1(&point, &sha256(&signed), signature)) {
                let text = format!(
                    "signature verification failed; please verify account number ({number}), sequence ({sequence}) and chain-id ({chain_id})"
                );
                return Err(Sdk::Unauthorized(text).into());
            }
            memory.learn(known);
        }
        proven.push((number, own));
    }
    // Another thread, or another state before, may have been first: that one stays.
    let _ = tx.proven.set(Box::new(Proven { chain_id: chain_id.into(), accounts: proven }));
    Ok(Authenticated(tx))
}

/// The bytes that a signer signs in `SIGN_MODE_DIRECT`: Cosmos' `SignDoc`.
pub fn sign_bytes(body: &[u8], auth_info: &[u8], chain_id: &str, account_number: u64) -> Vec<u8> {
    SignDoc {
        body_bytes: body.into(),
        auth_info_bytes: auth_info.into(),
        chain_id: chain_id.into(),
        account_number,
    }
    .encode_to_vec()
}

/// Decodes bytes that must be the message's own encoding.
pub fn canonical<M: Message + Default>(bytes: &[u8], what: &str) -> Result<M, Sdk> {
    let message = M::decode(bytes).map_err(|error| Sdk::TxDecode(format!("{what}: {error}")))?;
    if message.encode_to_vec() != bytes {
        return Err(Sdk::TxDecode(format!("{what}: unknown fields, or not encoded canonically")));
    }
    Ok(message)
}

/// As [`canonical`], with nesting bounded first.
fn strict<M: Message + Default + Name>(bytes: &[u8]) -> Result<M, Sdk> {
    wire::check_named(&M::full_name(), bytes)?;
    canonical(bytes, M::NAME)
}

/// The fee's coins, which must be uxpl or nothing.
fn fee_amount(coins: &[plasma_proto::cosmos::base::v1beta1::Coin]) -> Result<Amount, Sdk> {
    let mut sums = BTreeMap::<&str, Amount>::new();
    for coin in coins {
        let amount = Amount::parse(&coin.amount)
            .ok_or_else(|| Sdk::InvalidCoins(format!("{:?} is no amount", coin.amount)))?;
        if sums.insert(&coin.denom, amount).is_some() {
            return Err(Sdk::InvalidCoins(format!("{} stands twice", coin.denom)));
        }
    }
    let fee = sums.remove(Denom::uxpl().as_str()).unwrap_or_default();
    match sums.into_iter().next() {
        None => Ok(fee),
        Some((denom, _)) => Err(Sdk::InvalidCoins(format!("fees are paid in uxpl, not {denom}"))),
    }
}

fn unknown(address: Address) -> Refusal {
    let text = format!("account {address} not found: it must be sent some uxpl before it can act");
    Refusal::from(Sdk::UnknownAddress(text))
}

/// A transaction's hash, as CometBFT and clients name it: sha256 of its bytes, upper-case hex.
pub fn hash(bytes: &[u8]) -> String {
    crate::types::hex(&sha256(bytes)).to_uppercase()
}
