use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use plasma_modules::types::sha256;
use plasma_modules::{Address, tx};
use plasma_proto::cosmos::base::abci::v1beta1::TxMsgData;
use plasma_proto::cosmos::base::v1beta1::Coin;
use plasma_proto::cosmos::crypto::secp256k1::PubKey;
use plasma_proto::cosmos::tx::signing::v1beta1::SignMode;
use plasma_proto::cosmos::tx::v1beta1::mode_info::{Single, Sum};
use plasma_proto::cosmos::tx::v1beta1::{
    AuthInfo, Fee, ModeInfo, SignerInfo, SimulateRequest, SimulateResponse, TxBody, TxRaw,
};
use prost::{Message, Name};
use prost_types::Any;
use tendermint::abci::types::ExecTxResult;
use tendermint::block::Height;
use tendermint::hash::{Algorithm, Hash};
use tendermint_rpc::Client as _;
use tendermint_rpc::error::ErrorDetail;

use super::{Client, ClientError, DENOM, any};
use crate::wallet::Wallet;

/// How long a transaction is waited for where nothing else is said.
const WAIT: Duration = Duration::from_secs(60);
/// How often the node is asked for a transaction.
const WAIT_POLL: Duration = Duration::from_millis(200);
/// Gas above what a simulation said: gas counts bytes, and a few are not known before.
const GAS_MARGIN_BPS: u64 = 500;
/// Fee above the price now, in hundredths: the price rises by an eighth per block at most.
const FEE_PERCENT: u128 = 120;
/// Bytes by which a transaction may grow with its fee and gas limit.
const FEE_BYTES: usize = 24;
/// How often a transaction is made anew when another came first or the price rose.
const TRIES: u32 = 3;
const BPS: u64 = 10_000;

/// How a transaction is to be sent.
#[derive(Debug, Clone)]
pub struct TxOptions {
    /// Text beside the messages, public.
    pub memo: String,
    /// Gas limit; by simulation where absent.
    pub gas: Option<u64>,
    /// Margin on simulated gas, basis points.
    pub gas_margin_bps: u64,
    /// Fee, uxpl; a fifth above the price now where absent.
    pub fee: Option<u128>,
    /// Whose balance the fee is taken from, by an allowance; the signer's where absent.
    pub fee_granter: Option<Address>,
    /// How long to wait for the block.
    pub timeout: Duration,
}

impl Default for TxOptions {
    fn default() -> Self {
        Self {
            memo: String::new(),
            gas: None,
            gas_margin_bps: GAS_MARGIN_BPS,
            fee: None,
            fee_granter: None,
            timeout: WAIT,
        }
    }
}

/// One thing that a transaction reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxEvent {
    /// Its name.
    pub kind: String,
    /// Its fields, in order.
    pub attributes: Vec<(String, String)>,
}

impl TxEvent {
    /// The first field of that name.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxOutcome {
    /// sha256 of its bytes, upper-case hexadecimal.
    pub hash: String,
    /// Block that holds it.
    pub height: u64,
    /// 0 when it succeeded, else the rule that refused it.
    pub code: u32,
    /// Module that refused it.
    pub codespace: String,
    /// What that said.
    pub log: String,
    /// Encoded `TxMsgData`.
    pub data: Vec<u8>,
    /// What it reported, in order.
    pub events: Vec<TxEvent>,
    /// Gas limit.
    pub gas_wanted: u64,
    /// Gas that it cost.
    pub gas_used: u64,
}

impl TxOutcome {
    /// Whether every message was carried out.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.code == 0
    }

    /// This outcome if the messages were carried out.
    ///
    /// # Errors
    /// [`ClientError::Failed`] if not.
    pub fn ok(self) -> Result<Self, ClientError> {
        if self.is_ok() { Ok(self) } else { Err(ClientError::Failed(Box::new(self))) }
    }

    /// The response of the message at `index`.
    ///
    /// # Errors
    /// [`ClientError::Decode`] if there is none, or one of another type.
    pub fn response<M: Message + Name + Default>(&self, index: usize) -> Result<M, ClientError> {
        let bad = |reason: String| ClientError::Decode {
            what: format!("the response {}", M::NAME),
            reason,
        };
        let data =
            TxMsgData::decode(self.data.as_slice()).map_err(|error| bad(error.to_string()))?;
        let found = data.msg_responses.get(index).ok_or_else(|| bad("there is none".to_owned()))?;
        if found.type_url != M::type_url() {
            return Err(bad(format!("it is a {}", found.type_url)));
        }
        M::decode(found.value.as_slice()).map_err(|error| bad(error.to_string()))
    }

    /// The first event of that kind that has the field.
    #[must_use]
    pub fn attribute(&self, kind: &str, key: &str) -> Option<&str> {
        self.events.iter().filter(|event| event.kind == kind).find_map(|event| event.attribute(key))
    }

    fn new(hash: String, height: u64, result: ExecTxResult) -> Self {
        let text = |field: Result<&str, _>| field.map(str::to_owned).unwrap_or_default();
        let event = |event: tendermint::abci::Event| TxEvent {
            kind: event.kind,
            attributes: event
                .attributes
                .iter()
                .map(|field| (text(field.key_str()), text(field.value_str())))
                .collect(),
        };
        Self {
            hash,
            height,
            code: result.code.into(),
            codespace: result.codespace,
            log: result.log,
            // The RPC's base64, which tendermint-rpc hands on as it came.
            data: BASE64.decode(&result.data).unwrap_or_else(|_| result.data.to_vec()),
            events: result.events.into_iter().map(event).collect(),
            gas_wanted: u64::try_from(result.gas_wanted).unwrap_or(0),
            gas_used: u64::try_from(result.gas_used).unwrap_or(0),
        }
    }
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its height.
    pub height: u64,
    /// sha256 of its header, upper-case hexadecimal.
    pub hash: String,
    /// Its time, unix seconds.
    pub time_s: u64,
    /// Consensus address of who proposed it, hexadecimal.
    pub proposer: String,
    /// State after the block before it, hexadecimal.
    pub app_hash: String,
    /// Its transactions.
    pub txs: Vec<Vec<u8>>,
}

/// A transaction's parts, before it is signed.
struct Draft<'a> {
    body_bytes: Vec<u8>,
    public: [u8; 33],
    sequence: u64,
    account_number: u64,
    fee_granter: Option<Address>,
    wallet: &'a Wallet,
}

impl<'a> Draft<'a> {
    fn new(
        wallet: &'a Wallet,
        messages: Vec<Any>,
        memo: &str,
        account_number: u64,
        sequence: u64,
    ) -> Self {
        let body = TxBody { messages, memo: memo.to_owned(), ..TxBody::default() };
        let body_bytes = body.encode_to_vec();
        let public = wallet.public();
        Self { body_bytes, public, sequence, account_number, fee_granter: None, wallet }
    }

    fn auth_info(&self, gas_limit: u64, fee_uxpl: u128) -> Vec<u8> {
        let single = Single { mode: SignMode::Direct.into() };
        let info = SignerInfo {
            public_key: Some(any(&PubKey { key: self.public.to_vec() })),
            mode_info: Some(ModeInfo { sum: Some(Sum::Single(single)) }),
            sequence: self.sequence,
        };
        let coin = Coin { denom: DENOM.to_owned(), amount: fee_uxpl.to_string() };
        let amount = if fee_uxpl == 0 { Vec::new() } else { vec![coin] };
        let granter = self.fee_granter.map(|granter| granter.text()).unwrap_or_default();
        let fee = Fee { amount, gas_limit, granter, ..Fee::default() };
        AuthInfo { signer_infos: vec![info], fee: Some(fee), ..AuthInfo::default() }.encode_to_vec()
    }

    fn raw(&self, auth_info_bytes: Vec<u8>, signature: [u8; 64]) -> Vec<u8> {
        let body_bytes = self.body_bytes.clone();
        TxRaw { body_bytes, auth_info_bytes, signatures: vec![signature.to_vec()] }.encode_to_vec()
    }

    fn signed(&self, chain_id: &str, gas_limit: u64, fee_uxpl: u128) -> Vec<u8> {
        let auth_info = self.auth_info(gas_limit, fee_uxpl);
        let bytes = tx::sign_bytes(&self.body_bytes, &auth_info, chain_id, self.account_number);
        self.raw(auth_info, self.wallet.sign(sha256(&bytes)))
    }

    /// To be simulated: whole but for gas limit, fee and signature.
    fn unsigned(&self) -> Vec<u8> {
        self.raw(self.auth_info(0, 0), [0; 64])
    }
}

/// Builds and signs a transaction of one signer in `SIGN_MODE_DIRECT`. Speaks with nobody. `fee_uxpl` in uxpl.
#[must_use]
#[expect(clippy::too_many_arguments, reason = "each is a field of the transaction")]
pub fn sign_tx(
    chain_id: &str,
    wallet: &Wallet,
    msgs: Vec<Any>,
    account_number: u64,
    sequence: u64,
    gas_limit: u64,
    fee_uxpl: u128,
    memo: &str,
) -> Vec<u8> {
    Draft::new(wallet, msgs, memo, account_number, sequence).signed(chain_id, gas_limit, fee_uxpl)
}

impl Client {
    /// Runs a transaction without keeping what it does; signatures are not looked at. Gives the gas that it costs.
    ///
    /// # Errors
    /// The rule that would refuse it.
    pub async fn simulate(&self, tx: &[u8]) -> Result<u64, ClientError> {
        #[expect(deprecated, reason = "the field stays empty")]
        let request = SimulateRequest { tx: None, tx_bytes: tx.to_vec() };
        let path = "/cosmos.tx.v1beta1.Service/Simulate";
        let answer: SimulateResponse = match self.query(path, &request).await {
            Err(ClientError::Query { codespace, code, log, .. }) => {
                return Err(ClientError::refused(&codespace, code, super::plain(&log), ""));
            }
            other => other?,
        };
        Ok(answer.gas_info.unwrap_or_default().gas_used)
    }

    /// Hands a transaction to the node and gives its hash. That it was taken does not mean that it is in a block.
    ///
    /// # Errors
    /// Typed by what the chain said; [`ClientError::InMempool`] if the node has it already.
    pub async fn broadcast(&self, tx: impl Into<Vec<u8>>) -> Result<String, ClientError> {
        let tx = tx.into();
        let hash = tx::hash(&tx);
        let answer = match self.http.broadcast_tx_sync(tx).await {
            Ok(answer) => answer,
            Err(error) => {
                let text = super::reason(&error);
                return Err(match error.detail() {
                    ErrorDetail::Response(_) if text.contains("already exists in cache") => {
                        ClientError::InMempool(hash)
                    }
                    ErrorDetail::Response(_) if text.contains("mempool is full") => {
                        ClientError::MempoolFull(text)
                    }
                    _ => self.failure(&error),
                });
            }
        };
        match u32::from(answer.code) {
            0 => Ok(hash),
            code => Err(ClientError::refused(&answer.codespace, code, &answer.log, &hash)),
        }
    }

    /// What became of a transaction; `None` if it is in no block (yet).
    ///
    /// # Errors
    /// [`ClientError::Invalid`] for text that is no hash; else if the node cannot be reached.
    pub async fn tx(&self, hash: &str) -> Result<Option<TxOutcome>, ClientError> {
        let parsed =
            Hash::from_hex_upper(Algorithm::Sha256, &hash.to_uppercase()).map_err(|_| {
                ClientError::Invalid(format!(
                    "{hash:?} is no transaction hash: it has 64 hexadecimal digits"
                ))
            })?;
        match self.http.tx(parsed, false).await {
            Ok(found) => {
                let hash = found.hash.to_string().to_uppercase();
                Ok(Some(TxOutcome::new(hash, found.height.value(), found.tx_result)))
            }
            Err(error) => match error.detail() {
                ErrorDetail::Response(_) if super::reason(&error).contains("not found") => Ok(None),
                _ => Err(self.failure(&error)),
            },
        }
    }

    /// Waits until a transaction is in a block and gives what became of it, good or bad.
    ///
    /// # Errors
    /// [`ClientError::Timeout`] when it takes longer than `timeout`; the last failure if the node was away then.
    pub async fn wait_tx(&self, hash: &str, timeout: Duration) -> Result<TxOutcome, ClientError> {
        let began = Instant::now();
        loop {
            let away = match self.tx(hash).await {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) => None,
                Err(error @ (ClientError::Unreachable { .. } | ClientError::Node { .. })) => {
                    Some(error)
                }
                Err(error) => return Err(error),
            };
            if began.elapsed() >= timeout {
                let waited_s = timeout.as_secs();
                return Err(
                    away.unwrap_or(ClientError::Timeout { hash: hash.to_owned(), waited_s })
                );
            }
            tokio::time::sleep(WAIT_POLL).await;
        }
    }

    /// A block; the newest for `None`.
    ///
    /// # Errors
    /// If the node cannot be reached or does not have it.
    pub async fn block(&self, height: Option<u64>) -> Result<Block, ClientError> {
        let found = match height {
            None => self.http.latest_block().await,
            Some(height) => {
                let height = Height::try_from(height)
                    .map_err(|error| ClientError::Invalid(format!("height {height}: {error}")))?;
                self.http.block(height).await
            }
        };
        let found = found.map_err(|error| self.failure(&error))?;
        let header = found.block.header;
        Ok(Block {
            height: header.height.value(),
            hash: found.block_id.hash.to_string().to_uppercase(),
            time_s: u64::try_from(header.time.unix_timestamp()).unwrap_or(0),
            proposer: header.proposer_address.to_string(),
            app_hash: header.app_hash.to_string(),
            txs: found.block.data,
        })
    }

    /// Signs a transaction with gas and fee as `options` say and hands it to the node; gives its hash. Made anew
    /// if another transaction of the account came first or the price of gas rose meanwhile.
    ///
    /// # Errors
    /// What the chain refused it for, by simulation where it can be known before it costs anything.
    pub async fn submit(
        &self,
        wallet: &Wallet,
        msgs: Vec<Any>,
        options: &TxOptions,
    ) -> Result<String, ClientError> {
        let mut sequence = None;
        let mut tries = 1;
        loop {
            let error = match self.attempt(wallet, msgs.clone(), options, sequence).await {
                // The same bytes as before: they are on their way.
                Ok(hash) | Err(ClientError::InMempool(hash)) => return Ok(hash),
                Err(error) => error,
            };
            sequence = match &error {
                ClientError::WrongSequence { expected, .. } => Some(*expected),
                ClientError::InsufficientFee(_) if options.fee.is_none() => None,
                _ => return Err(error),
            };
            if tries >= TRIES {
                return Err(error);
            }
            tries += 1;
        }
    }

    /// As [`Client::submit`], then waits for the block. `Ok` means that every message was carried out.
    ///
    /// # Errors
    /// As [`Client::submit`]; [`ClientError::Failed`] if it failed in its block; [`ClientError::Timeout`].
    pub async fn send(
        &self,
        wallet: &Wallet,
        msgs: Vec<Any>,
        options: &TxOptions,
    ) -> Result<TxOutcome, ClientError> {
        let hash = self.submit(wallet, msgs, options).await?;
        self.wait_tx(&hash, options.timeout).await?.ok()
    }

    /// Signs, simulates and broadcasts once.
    async fn attempt(
        &self,
        wallet: &Wallet,
        msgs: Vec<Any>,
        options: &TxOptions,
        sequence: Option<u64>,
    ) -> Result<String, ClientError> {
        let address = wallet.address();
        let account = self.account(address).await?.ok_or(ClientError::UnknownAccount(address))?;
        let sequence = sequence.unwrap_or(account.sequence);
        let mut draft = Draft::new(wallet, msgs, &options.memo, account.account_number, sequence);
        draft.fee_granter = options.fee_granter;
        let trial = draft.unsigned();
        let gas = match options.gas {
            Some(gas) => gas,
            None => {
                let used = self.simulate(&trial).await?;
                used.saturating_add(used.saturating_mul(options.gas_margin_bps).div_ceil(BPS))
            }
        };
        let fee = match options.fee {
            Some(fee) => fee,
            None => {
                let bytes = trial.len().saturating_add(FEE_BYTES);
                let required = self.prices().await?.required_uxpl(gas, bytes);
                required.saturating_mul(FEE_PERCENT).div_ceil(100)
            }
        };
        self.broadcast(draft.signed(&self.chain_id, gas, fee)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plasma_modules::tx::{Purpose, decode};
    use plasma_modules::{Address, ante};
    use plasma_proto::cosmos::bank::v1beta1::MsgSend;

    fn draft(wallet: &Wallet) -> Draft<'_> {
        let coin = Coin { denom: DENOM.to_owned(), amount: "2500000".to_owned() };
        let send = MsgSend {
            from_address: wallet.address().text(),
            to_address: Address([9; 20]).text(),
            amount: vec![coin],
        };
        Draft::new(wallet, vec![any(&send)], "hello", 3, 1 << 40)
    }

    /// The chain's own decoder takes it, canonical encoding included.
    #[test]
    fn the_chain_reads_what_is_built() {
        let wallet = Wallet::from_secret(&[3; 32]).unwrap();
        let draft = draft(&wallet);
        let tx = decode(&draft.signed("plasma-test-1", 100_000, 250), Purpose::Execute).unwrap();
        assert_eq!((tx.fee.units(), tx.gas_limit, tx.memo_len), (250, 100_000, 5));
        assert_eq!((tx.signers[0].address, tx.signers[0].sequence), (wallet.address(), 1 << 40));
        decode(&draft.unsigned(), Purpose::Simulate).unwrap();
    }

    #[test]
    fn the_margins_cover_what_is_not_known_before() {
        let wallet = Wallet::from_secret(&[3; 32]).unwrap();
        let draft = draft(&wallet);
        let trial = draft.unsigned();
        let used = ante::gas(&decode(&trial, Purpose::Simulate).unwrap());
        let gas = used + (used * GAS_MARGIN_BPS).div_ceil(BPS);
        let signed = draft.signed("plasma-test-1", gas, u128::from(u64::MAX) / 1000);
        assert!(signed.len() <= trial.len() + FEE_BYTES + 10, "{} {}", signed.len(), trial.len());
        assert!(ante::gas(&decode(&signed, Purpose::Execute).unwrap()) <= gas);
    }

    #[test]
    fn responses_are_found_by_type() {
        use plasma_proto::plasma::market::v1::{MsgCancelJobResponse, MsgSubmitJobResponse};
        #[expect(deprecated, reason = "the field stays empty")]
        let data = TxMsgData {
            data: vec![],
            msg_responses: vec![any(&MsgSubmitJobResponse { job_id: 7 })],
        };
        let outcome = TxOutcome {
            hash: "AB".into(),
            height: 1,
            code: 0,
            codespace: String::new(),
            log: String::new(),
            data: data.encode_to_vec(),
            events: vec![],
            gas_wanted: 0,
            gas_used: 0,
        };
        assert_eq!(outcome.response::<MsgSubmitJobResponse>(0).unwrap().job_id, 7);
        assert!(outcome.response::<MsgSubmitJobResponse>(1).is_err());
        assert!(outcome.response::<MsgCancelJobResponse>(0).is_err());
        let failed = TxOutcome { code: 5, ..outcome };
        assert!(matches!(failed.ok(), Err(ClientError::Failed(_))));
    }
}
