//! Messages that exist only when well formed, whatever the state.

use alloc::{collections::BTreeSet, string::String, vec::Vec};

use plasma_proto::plasma::market::v1 as pb;
use prost::Message;

use super::{Error, PRICE_UXPL_PER_MTOK_MAX, gas};
use crate::{
    Address, Amount, Sdk,
    types::{Hash, hash32, hex},
};

/// Highest temperature, thousandths.
pub const TEMPERATURE_MILLI_MAX: u32 = 2_000;

/// Most asks in one message, whatever the parameters.
pub(super) const ASKS_MAX: usize = 256;

const ENDPOINT_BYTES_MAX: usize = 256;
const NAME_BYTES_MAX: usize = 128;
const REASON_BYTES_MAX: usize = 256;
const PATH_BYTES_MAX: usize = 256;
const CONTEXT_TOKENS_MAX: u32 = 1 << 24;

fn bad(field: &'static str, why: &'static str) -> Error {
    Error::BadField { field, why }
}

/// 32 bytes.
fn hash(field: &'static str, bytes: &[u8]) -> Result<Hash, Error> {
    hash32(bytes).ok_or(bad(field, "must be 32 bytes"))
}

fn signature(field: &'static str, bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
    if bytes.len() != 64 {
        return Err(bad(field, "must be 64 bytes"));
    }
    Ok(bytes)
}

/// Any amount.
fn amount(field: &str, text: &str) -> Result<Amount, Error> {
    Amount::parse(text).ok_or_else(|| {
        Sdk::InvalidCoins(alloc::format!("{field} must be decimal digits, not {text:?}")).into()
    })
}

/// An amount above zero.
fn some_amount(field: &str, text: &str) -> Result<Amount, Error> {
    match amount(field, text)? {
        Amount::ZERO => Err(Sdk::InvalidCoins(alloc::format!("{field} must be above zero")).into()),
        amount => Ok(amount),
    }
}

/// Printable text of limited length.
fn name(field: &'static str, text: &str, least: usize) -> Result<(), Error> {
    if !(least..=NAME_BYTES_MAX).contains(&text.len()) || text.chars().any(char::is_control) {
        return Err(bad(field, "must be printable text of at most 128 bytes"));
    }
    Ok(())
}

/// What a provider says of itself.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    pub endpoint: String,
    pub tls_key_hash: Vec<u8>,
    pub hardware: Option<pb::Hardware>,
    pub region: String,
}

impl Profile {
    fn new(
        endpoint: String,
        tls_key_hash: Vec<u8>,
        hardware: Option<pb::Hardware>,
        region: String,
    ) -> Result<Self, Error> {
        let host = endpoint.strip_prefix("https://").or(endpoint.strip_prefix("http://"));
        let graphic = endpoint.bytes().all(|byte| byte.is_ascii_graphic());
        let named = host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'));
        if !named || !graphic || endpoint.len() > ENDPOINT_BYTES_MAX {
            return Err(bad("endpoint", "must be an http or https URL of at most 256 bytes"));
        }
        if !tls_key_hash.is_empty() {
            hash("tls_key_hash", &tls_key_hash)?;
        }
        if let Some(pb::Hardware { device, backend, .. }) = &hardware {
            name("hardware.device", device, 0)?;
            name("hardware.backend", backend, 0)?;
        }
        name("region", &region, 0)?;
        Ok(Self { endpoint, tls_key_hash, hardware, region })
    }

    fn gas(&self) -> u64 {
        let Self { endpoint, tls_key_hash, hardware, region } = self;
        let hardware = hardware.as_ref().map_or(0, Message::encoded_len);
        [endpoint.len(), tls_key_hash.len(), hardware, region.len()]
            .into_iter()
            .map(gas::stored)
            .fold(0, u64::saturating_add)
    }
}

/// An ask within the bounds that never change; `slots_max` is a parameter.
pub(super) fn check_ask(ask: &pb::Ask) -> Result<Hash, Error> {
    let pb::Ask {
        model_id,
        fresh_uxpl_per_mtok,
        cached_uxpl_per_mtok,
        output_uxpl_per_mtok,
        slots,
    } = ask;
    let id = hash("ask.model_id", model_id)?;
    let bad = |why| Error::BadAsk { model_id: hex(&id), why };
    if [fresh_uxpl_per_mtok, output_uxpl_per_mtok].into_iter().any(|p| *p > PRICE_UXPL_PER_MTOK_MAX)
    {
        return Err(bad("a price is above 10^12 uxpl per million tokens"));
    }
    if cached_uxpl_per_mtok > fresh_uxpl_per_mtok {
        return Err(bad("cached input must not cost more than fresh input"));
    }
    if *slots == 0 {
        return Err(bad("it needs at least one slot"));
    }
    Ok(id)
}

fn asks(asks: Vec<pb::Ask>) -> Result<Vec<(Hash, pb::Ask)>, Error> {
    if asks.len() > ASKS_MAX {
        let max = u32::try_from(ASKS_MAX).unwrap_or(u32::MAX);
        return Err(Error::TooManyAsks { count: asks.len(), max });
    }
    let mut seen = BTreeSet::new();
    asks.into_iter()
        .map(|ask| {
            let id = check_ask(&ask)?;
            if !seen.insert(id) {
                let why = "the model has another ask in this message";
                return Err(Error::BadAsk { model_id: hex(&id), why });
            }
            Ok((id, ask))
        })
        .collect()
}

fn asks_gas(asks: &[(Hash, pb::Ask)]) -> u64 {
    gas::ASK_GAS.saturating_mul(u64::try_from(asks.len()).unwrap_or(u64::MAX))
}

/// Joins the market.
#[derive(Clone, Debug)]
pub struct RegisterProvider {
    pub(super) operator: Address,
    pub(super) receipt_key: Hash,
    pub(super) proof: Vec<u8>,
    pub(super) profile: Profile,
    pub(super) bond: Amount,
    pub(super) asks: Vec<(Hash, pb::Ask)>,
}

impl RegisterProvider {
    /// Checks everything that needs no state.
    pub fn new(msg: pb::MsgRegisterProvider) -> Result<Self, Error> {
        let pb::MsgRegisterProvider {
            operator,
            receipt_key,
            receipt_key_proof,
            endpoint,
            tls_key_hash,
            hardware,
            region,
            bond_uxpl,
            asks: asked,
        } = msg;
        Ok(Self {
            operator: Address::parse(&operator)?,
            receipt_key: hash("receipt_key", &receipt_key)?,
            proof: signature("receipt_key_proof", receipt_key_proof)?,
            profile: Profile::new(endpoint, tls_key_hash, hardware, region)?,
            bond: amount("bond_uxpl", &bond_uxpl)?,
            asks: asks(asked)?,
        })
    }

    /// The operator.
    pub fn signer(&self) -> Address {
        self.operator
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        gas::PROVIDER_GAS
            .saturating_add(gas::SIGNATURE_GAS)
            .saturating_add(self.profile.gas())
            .saturating_add(asks_gas(&self.asks))
    }
}

/// Changes what a provider offers.
#[derive(Clone, Debug)]
pub struct UpdateProvider {
    pub(super) operator: Address,
    /// New key and its proof.
    pub(super) rotation: Option<(Hash, Vec<u8>)>,
    pub(super) profile: Profile,
    pub(super) asks: Vec<(Hash, pb::Ask)>,
}

impl UpdateProvider {
    /// Checks everything that needs no state.
    pub fn new(msg: pb::MsgUpdateProvider) -> Result<Self, Error> {
        let pb::MsgUpdateProvider {
            operator,
            receipt_key,
            receipt_key_proof,
            endpoint,
            tls_key_hash,
            hardware,
            region,
            asks: asked,
        } = msg;
        let rotation = if receipt_key.is_empty() {
            if !receipt_key_proof.is_empty() {
                return Err(bad("receipt_key_proof", "must be empty where the key stays"));
            }
            None
        } else {
            let key = hash("receipt_key", &receipt_key)?;
            Some((key, signature("receipt_key_proof", receipt_key_proof)?))
        };
        Ok(Self {
            operator: Address::parse(&operator)?,
            rotation,
            profile: Profile::new(endpoint, tls_key_hash, hardware, region)?,
            asks: asks(asked)?,
        })
    }

    /// The operator.
    pub fn signer(&self) -> Address {
        self.operator
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        gas::PROVIDER_GAS
            .saturating_add(gas::SIGNATURE_GAS)
            .saturating_add(self.profile.gas())
            .saturating_add(asks_gas(&self.asks))
    }
}

/// Leaves the market.
#[derive(Clone, Debug)]
pub struct DeregisterProvider {
    pub(super) operator: Address,
}

impl DeregisterProvider {
    /// Checks everything that needs no state.
    pub fn new(msg: pb::MsgDeregisterProvider) -> Result<Self, Error> {
        let pb::MsgDeregisterProvider { operator } = msg;
        Ok(Self { operator: Address::parse(&operator)? })
    }

    /// The operator.
    pub fn signer(&self) -> Address {
        self.operator
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        gas::LEAVE_GAS
    }
}

/// Adds to a bond.
#[derive(Clone, Debug)]
pub struct AddBond {
    pub(super) operator: Address,
    pub(super) amount: Amount,
}

impl AddBond {
    /// Checks everything that needs no state.
    pub fn new(msg: pb::MsgAddBond) -> Result<Self, Error> {
        let pb::MsgAddBond { operator, amount_uxpl } = msg;
        Ok(Self {
            operator: Address::parse(&operator)?,
            amount: some_amount("amount_uxpl", &amount_uxpl)?,
        })
    }

    /// The operator.
    pub fn signer(&self) -> Address {
        self.operator
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        gas::BOND_GAS
    }
}

/// Asks for part of a bond back.
#[derive(Clone, Debug)]
pub struct WithdrawBond {
    pub(super) operator: Address,
    pub(super) amount: Amount,
}

impl WithdrawBond {
    /// Checks everything that needs no state.
    pub fn new(msg: pb::MsgWithdrawBond) -> Result<Self, Error> {
        let pb::MsgWithdrawBond { operator, amount_uxpl } = msg;
        Ok(Self {
            operator: Address::parse(&operator)?,
            amount: some_amount("amount_uxpl", &amount_uxpl)?,
        })
    }

    /// The operator.
    pub fn signer(&self) -> Address {
        self.operator
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        gas::BOND_GAS
    }
}

/// Makes a model known.
#[derive(Clone, Debug)]
pub struct PublishModel {
    pub(super) publisher: Address,
    pub(super) manifest: pb::Manifest,
    pub(super) royalty_bps: u32,
}

impl PublishModel {
    /// Checks everything that needs no state.
    pub fn new(msg: pb::MsgPublishModel) -> Result<Self, Error> {
        let pb::MsgPublishModel { publisher, manifest, royalty_bps } = msg;
        let manifest = manifest.ok_or(Error::BadManifest("it is missing"))?;
        check_manifest(&manifest)?;
        Ok(Self { publisher: Address::parse(&publisher)?, manifest, royalty_bps })
    }

    /// The publisher.
    pub fn signer(&self) -> Address {
        self.publisher
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        gas::MODEL_GAS.saturating_add(gas::stored(self.manifest.encoded_len()))
    }
}

/// A manifest within the bounds that never change.
pub(super) fn check_manifest(manifest: &pb::Manifest) -> Result<(), Error> {
    let pb::Manifest {
        name: own_name,
        architecture,
        dtype,
        tokenizer,
        licence,
        base_model,
        context_tokens,
        template_tokens_max,
        files,
    } = manifest;
    for (field, text, least) in [
        ("manifest.name", own_name, 1),
        ("manifest.architecture", architecture, 1),
        ("manifest.dtype", dtype, 1),
        ("manifest.tokenizer", tokenizer, 0),
        ("manifest.licence", licence, 0),
    ] {
        name(field, text, least)?;
    }
    if !base_model.is_empty() && hash32(base_model).is_none() {
        return Err(Error::BadManifest("base_model must be 32 bytes or empty"));
    }
    if !(2..=CONTEXT_TOKENS_MAX).contains(context_tokens) {
        return Err(Error::BadManifest("context_tokens must be 2 to 2^24"));
    }
    if template_tokens_max >= context_tokens {
        return Err(Error::BadManifest("template_tokens_max must be below context_tokens"));
    }
    if files.is_empty() {
        return Err(Error::BadManifest("it names no files"));
    }
    let mut paths = BTreeSet::new();
    for pb::ModelFile { path, sha256, size_bytes } in files {
        if !is_plain_path(path) {
            return Err(Error::BadManifest(
                "a file's path must be relative, plain and at most 256 bytes",
            ));
        }
        if !paths.insert(path.as_str()) {
            return Err(Error::BadManifest("two files have one path"));
        }
        if hash32(sha256).is_none() {
            return Err(Error::BadManifest("a file's sha256 must be 32 bytes"));
        }
        if *size_bytes == 0 {
            return Err(Error::BadManifest("a file is empty"));
        }
    }
    Ok(())
}

/// A path that stays below where it starts, on every file system.
fn is_plain_path(path: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+@".contains(&b))
    };
    path.len() <= PATH_BYTES_MAX && path.split('/').all(plain)
}

/// Buys an inference.
#[derive(Clone, Debug)]
pub struct SubmitJob {
    pub(super) requester: Address,
    pub(super) model_id: Hash,
    pub(super) input: String,
    pub(super) max_tokens: u32,
    pub(super) sampling: pb::Sampling,
    pub(super) max_fee: Amount,
    pub(super) deadline_s: u64,
    pub(super) stop: Vec<String>,
    pub(super) referral: Option<Address>,
}

impl SubmitJob {
    /// Checks everything that needs no state.
    pub fn new(msg: pb::MsgSubmitJob) -> Result<Self, Error> {
        let pb::MsgSubmitJob {
            requester,
            model_id,
            input,
            max_tokens,
            sampling,
            max_fee_uxpl,
            deadline_unix_s,
            stop,
            referral,
        } = msg;
        let sampling = sampling.ok_or(Error::BadSampling("it is missing"))?;
        check_sampling(&sampling)?;
        let referral = if referral.is_empty() { None } else { Some(Address::parse(&referral)?) };
        Ok(Self {
            requester: Address::parse(&requester)?,
            model_id: hash("model_id", &model_id)?,
            input,
            max_tokens,
            sampling,
            max_fee: some_amount("max_fee_uxpl", &max_fee_uxpl)?,
            deadline_s: deadline_unix_s,
            stop,
            referral,
        })
    }

    /// The requester.
    pub fn signer(&self) -> Address {
        self.requester
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        let stops = self.stop.iter().map(|stop| gas::stored(stop.len()));
        gas::JOB_GAS
            .saturating_add(gas::stored(self.input.len()))
            .saturating_add(stops.fold(0, u64::saturating_add))
    }
}

fn check_sampling(sampling: &pb::Sampling) -> Result<(), Error> {
    let pb::Sampling { temperature_milli, top_p_milli, seed: _ } = *sampling;
    if temperature_milli > TEMPERATURE_MILLI_MAX {
        return Err(Error::BadSampling("temperature_milli must be at most 2000"));
    }
    if !(1..=1_000).contains(&top_p_milli) {
        return Err(Error::BadSampling("top_p_milli must be 1 to 1000"));
    }
    Ok(())
}

/// Takes back a job that nobody works on.
#[derive(Clone, Debug)]
pub struct CancelJob {
    pub(super) requester: Address,
    pub(super) job_id: u64,
}

impl CancelJob {
    /// Checks everything that needs no state.
    pub fn new(msg: pb::MsgCancelJob) -> Result<Self, Error> {
        let pb::MsgCancelJob { requester, job_id } = msg;
        Ok(Self { requester: Address::parse(&requester)?, job_id })
    }

    /// The requester.
    pub fn signer(&self) -> Address {
        self.requester
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        gas::JOB_END_GAS
    }
}

/// A provider passes a job on.
#[derive(Clone, Debug)]
pub struct DeclineJob {
    pub(super) carrier: Address,
    /// As it was signed.
    pub(super) msg: pb::MsgDeclineJob,
}

impl DeclineJob {
    /// Checks everything that needs no state.
    pub fn new(msg: pb::MsgDeclineJob) -> Result<Self, Error> {
        if msg.reason.len() > REASON_BYTES_MAX {
            return Err(bad("reason", "must be at most 256 bytes"));
        }
        if msg.signature.len() != 64 {
            return Err(bad("signature", "must be 64 bytes"));
        }
        Ok(Self { carrier: Address::parse(&msg.carrier)?, msg })
    }

    /// The carrier.
    pub fn signer(&self) -> Address {
        self.carrier
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        gas::JOB_END_GAS
            .saturating_add(gas::SIGNATURE_GAS)
            .saturating_add(gas::stored(self.msg.reason.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_where_they_start() {
        for good in ["model.safetensors", "a/b-c_d.e+f@1", "x/.hidden"] {
            assert!(is_plain_path(good), "{good}");
        }
        for wrong in
            ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a", "a\\b", "C:x", "a b"]
        {
            assert!(!is_plain_path(wrong), "{wrong}");
        }
    }

    #[test]
    fn endpoints_are_urls() {
        let profile =
            |endpoint: &str| Profile::new(endpoint.into(), Vec::new(), None, String::new());
        for good in ["http://1.2.3.4:8080", "https://node.example/path"] {
            assert!(profile(good).is_ok(), "{good}");
        }
        let long = ["https://", &"x".repeat(300)].concat();
        for wrong in ["", "ftp://a", "http://", "https:///x", "http://a b", "http://ä", &long] {
            assert!(profile(wrong).is_err(), "{wrong}");
        }
    }
}
