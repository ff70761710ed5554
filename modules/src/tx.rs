//! From bytes to a transaction whose signatures hold: `bytes -> Decoded -> Authenticated`.
//!
//! A transaction is Cosmos' `TxRaw`, signed in `SIGN_MODE_DIRECT` with secp256k1. Its bytes are
//! canonical protobuf: what does not encode back to itself (unknown fields, other orders, longer
//! varints) is refused, so a transaction has one hash.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use plasma_proto::cosmos::{
    crypto::secp256k1::PubKey,
    tx::{
        signing::v1beta1::SignMode,
        v1beta1::{AuthInfo, ModeInfo, SignDoc, TxBody, TxRaw, mode_info},
    },
};
use prost::{Message, Name};
use secp256k1::{Secp256k1, VerifyOnly, ecdsa};

use crate::{
    Address, Amount, Denom, Read, Refusal, Sdk, auth, carrier,
    msg::Msg,
    types::{Hash, digest, sha256},
};

/// Largest transaction, bytes.
pub const TX_BYTES_MAX: usize = 64 << 10;

/// Most messages of one transaction.
pub const MESSAGES_MAX: usize = 64;

/// Most signers of one transaction.
pub const SIGNERS_MAX: usize = 8;

/// First byte of a block's transactions that the application puts there itself. No `TxRaw` begins
/// with it, and nobody can send one.
pub const INJECTED_TX_PREFIX: u8 = 0x00;

/// Remembers signatures that were checked, between CheckTx and FinalizeBlock. What it says can
/// only save work: a digest binds the signed bytes, the key and the signature.
pub trait SignatureMemory {
    /// Whether this check has passed before.
    fn knows(&self, digest: &Hash) -> bool;
    /// Notes that this check has passed.
    fn learn(&self, digest: Hash);
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
    /// Compressed secp256k1 key, where the transaction brings it.
    pub key: Option<[u8; 33]>,
    /// The account's next sequence, as the signer knows it.
    pub sequence: u64,
}

/// A transaction that is well formed. Its signatures have not been looked at.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// What it asks for, in order.
    pub msgs: Vec<Msg>,
    /// Who must sign, in order of their messages; the fee payer last if not among them.
    pub signers: Vec<Signer>,
    /// Who pays the fee.
    pub fee_payer: Address,
    /// The fee, uxpl.
    pub fee: Amount,
    /// Most gas that it may cost.
    pub gas_limit: u64,
    /// Last block that may hold it; 0 for any.
    pub timeout_height: u64,
    /// Bytes of the memo.
    pub memo_len: usize,
    /// Bytes of the transaction.
    pub size: usize,
    raw: TxRaw,
}

/// A transaction whose signatures hold. Made by [`authenticate`] alone.
#[derive(Clone, Debug)]
pub struct Authenticated(Decoded);

impl Authenticated {
    /// The transaction.
    pub fn tx(&self) -> &Decoded {
        &self.0
    }

    /// The transaction, for its messages to be run.
    pub fn into_tx(self) -> Decoded {
        self.0
    }

    /// The signatures, for their events.
    pub fn signatures(&self) -> &[Vec<u8>] {
        &self.0.raw.signatures
    }
}

/// Whether signatures are there to be checked, or the cost alone is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be executed.
    Execute,
    /// To be simulated: signatures may be empty, the sign mode unspecified.
    Simulate,
}

/// Reads a transaction. Pure and bounded.
pub fn decode(bytes: &[u8], purpose: Purpose) -> Result<Decoded, Refusal> {
    if bytes.len() > TX_BYTES_MAX {
        return Err(Sdk::TxTooLarge { len: bytes.len(), max: TX_BYTES_MAX }.into());
    }
    if bytes.first() == Some(&INJECTED_TX_PREFIX) {
        return Err(Sdk::TxDecode("begins with the byte of injected transactions".into()).into());
    }
    if carrier::is_carrier(bytes) {
        return Err(Sdk::TxDecode("begins with the byte of carriers".into()).into());
    }
    let raw: TxRaw = canonical(bytes, "TxRaw")?;
    let body: TxBody = canonical(&raw.body_bytes, "TxBody")?;
    let auth_info: AuthInfo = canonical(&raw.auth_info_bytes, "AuthInfo")?;

    if !body.extension_options.is_empty() || !body.non_critical_extension_options.is_empty() {
        return Err(Sdk::NotSupported("extension options".into()).into());
    }
    if body.unordered || body.timeout_timestamp.is_some() {
        return Err(Sdk::NotSupported("unordered transactions".into()).into());
    }
    if body.messages.is_empty() {
        return Err(Sdk::InvalidRequest("must contain at least one message".into()).into());
    }
    if body.messages.len() > MESSAGES_MAX {
        let text = format!("{} messages, at most {MESSAGES_MAX}", body.messages.len());
        return Err(Sdk::InvalidRequest(text).into());
    }
    let msgs = body.messages.iter().map(Msg::from_any).collect::<Result<Vec<_>, _>>()?;

    #[expect(deprecated, reason = "a field of AuthInfo that must be absent")]
    if auth_info.tip.is_some() {
        return Err(Sdk::NotSupported(
            "tips by a field: what a fee exceeds its price by is the tip".into(),
        )
        .into());
    }
    let fee = auth_info.fee.ok_or_else(|| Sdk::InvalidRequest("the fee is missing".into()))?;
    if !fee.granter.is_empty() {
        return Err(Sdk::NotSupported("fee granters".into()).into());
    }

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
    for (address, info) in addresses.into_iter().zip(auth_info.signer_infos) {
        check_mode(info.mode_info, purpose)?;
        let key = match info.public_key {
            None => None,
            Some(any) if any.type_url == PubKey::type_url() => {
                let key: PubKey = canonical(&any.value, "PubKey")?;
                let key: [u8; 33] = key.key.as_slice().try_into().map_err(|_| {
                    Sdk::InvalidPubKey(format!(
                        "secp256k1 keys have 33 bytes, not {}",
                        key.key.len()
                    ))
                })?;
                Some(key)
            }
            Some(any) => {
                return Err(Sdk::InvalidPubKey(format!("{:?} is not taken", any.type_url)).into());
            }
        };
        signers.push(Signer { address, key, sequence: info.sequence });
    }

    Ok(Decoded {
        msgs,
        signers,
        fee_payer,
        fee: fee_amount(&fee.amount)?,
        gas_limit: fee.gas_limit,
        timeout_height: body.timeout_height,
        memo_len: body.memo.len(),
        size: bytes.len(),
        raw,
    })
}

/// Checks every signature against its account's key, number and sequence: pure, given those.
pub fn authenticate(
    store: &dyn Read,
    chain_id: &str,
    tx: Decoded,
    memory: &dyn SignatureMemory,
) -> Result<Authenticated, Refusal> {
    let curve = Secp256k1::verification_only();
    for (signer, signature) in tx.signers.iter().zip(&tx.raw.signatures) {
        let account =
            auth::account(store, signer.address).ok_or_else(|| unknown(signer.address))?;
        let key = signer.key.or_else(|| auth::key(&account)).ok_or_else(|| {
            Sdk::InvalidPubKey(format!("{} has not shown its public key yet", signer.address))
        })?;
        let signed = sign_bytes(
            &tx.raw.body_bytes,
            &tx.raw.auth_info_bytes,
            chain_id,
            account.account_number,
        );
        let known = digest(&[b"xpl/checked/v1", &signed, &key, signature]);
        if memory.knows(&known) {
            continue;
        }
        if !verify_secp256k1(&curve, &key, &sha256(&signed), signature) {
            let text = format!(
                "signature verification failed; please verify account number ({}), sequence ({}) and chain-id ({chain_id})",
                account.account_number, signer.sequence
            );
            return Err(Sdk::Unauthorized(text).into());
        }
        memory.learn(known);
    }
    Ok(Authenticated(tx))
}

/// The bytes that a signer signs: Cosmos' `SignDoc`.
pub fn sign_bytes(body: &[u8], auth_info: &[u8], chain_id: &str, account_number: u64) -> Vec<u8> {
    SignDoc {
        body_bytes: body.into(),
        auth_info_bytes: auth_info.into(),
        chain_id: chain_id.into(),
        account_number,
    }
    .encode_to_vec()
}

/// Whether `signature` (64 bytes, low S) over `digest` is `key`'s.
fn verify_secp256k1(
    curve: &Secp256k1<VerifyOnly>,
    key: &[u8; 33],
    digest: &Hash,
    signature: &[u8],
) -> bool {
    let Ok(signature) = ecdsa::Signature::from_compact(signature) else { return false };
    let Ok(key) = secp256k1::PublicKey::from_byte_array_compressed(*key) else { return false };
    // libsecp256k1 refuses high S.
    curve.verify_ecdsa(secp256k1::Message::from_digest(*digest), &signature, &key).is_ok()
}

/// Whether `signature` over `digest` is `key`'s, by the rules of ZIP-215: the same everywhere, and
/// the same one by one as in batches.
pub fn verify_ed25519(key: &[u8; 32], digest: &Hash, signature: &[u8]) -> bool {
    let Ok(signature) = ed25519_zebra::Signature::try_from(signature) else { return false };
    let Ok(key) = ed25519_zebra::VerificationKey::try_from(*key) else { return false };
    key.verify(&signature, digest).is_ok()
}

/// Decodes bytes that must be the message's own encoding.
pub fn canonical<M: Message + Default>(bytes: &[u8], what: &str) -> Result<M, Sdk> {
    let message = M::decode(bytes).map_err(|error| Sdk::TxDecode(format!("{what}: {error}")))?;
    if message.encode_to_vec() != bytes {
        return Err(Sdk::TxDecode(format!("{what}: unknown fields, or not encoded canonically")));
    }
    Ok(message)
}

fn check_mode(mode: Option<ModeInfo>, purpose: Purpose) -> Result<(), Sdk> {
    let single = match mode.and_then(|mode| mode.sum) {
        Some(mode_info::Sum::Single(single)) => single,
        Some(mode_info::Sum::Multi(_)) => return Err(Sdk::NotSupported("multisig".into())),
        None if purpose == Purpose::Simulate => return Ok(()),
        None => return Err(Sdk::Unauthorized("the sign mode is missing".into())),
    };
    match single.mode() {
        SignMode::Direct => Ok(()),
        _ if purpose == Purpose::Simulate => Ok(()),
        other => Err(Sdk::NotSupported(format!(
            "sign mode {}: use SIGN_MODE_DIRECT",
            other.as_str_name()
        ))),
    }
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
