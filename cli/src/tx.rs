//! Transactions: sending XPL, and what became of any of them.

use std::time::Duration;

use clap::{Args, Subcommand};
use gpu_node::client::{Client, DENOM, TxOptions, TxOutcome, any};
use plasma_modules::msg::Msg;
use plasma_modules::{Address, Amount, ante};
use plasma_proto::cosmos::bank::v1beta1::MsgSend;
use plasma_proto::cosmos::base::v1beta1::Coin;
use plasma_proto::cosmos::tx::v1beta1::{AuthInfo, TxBody, TxRaw};
use plasma_proto::plasma::proof::v1::{BalanceKey, query_proof_request::Object};
use prost::Message as _;
use prost_types::Any;
use serde_json::{Value, json};

use crate::App;
use crate::amount;
use crate::contacts::{Contacts, look_alike};
use crate::error::{Failure, Result, explain};
use crate::light::ProveArgs;
use crate::output::{Table, Tone, clean, proto_json};
use crate::prove::Prover;

/// How long a transaction is waited for, where nothing else is said.
const WAIT: &str = "60s";
/// Bytes of a transaction beside its message: key, signature, fee, gas limit.
const ENVELOPE_BYTES: usize = 200;
/// What is offered, in hundredths of the price now: it may rise until the block.
const FEE_PERCENT: u128 = 120;
/// Longest value of a message's field that a table shows, characters.
const VALUE_CHARS_MAX: usize = 160;

/// XPL.
#[derive(Debug, Subcommand)]
pub enum BankCommand {
    /// Send XPL
    Send {
        /// Address, contact or key
        to: String,
        /// For example 5xpl, 1.5xpl or 2500uxpl
        #[arg(value_parser = amount::parse)]
        amount: Amount,
        /// Send to an address that looks like another one that you know
        #[arg(long)]
        allow_lookalike: bool,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// What an account holds
    Balance {
        /// Address, contact or key; your own if left out
        account: Option<String>,
        #[command(flatten)]
        prove: ProveArgs,
    },
}

/// How a transaction is sent.
#[derive(Debug, Args)]
#[command(next_help_heading = "Transaction")]
pub struct TxArgs {
    /// Text beside the messages; public
    #[arg(long, default_value = "", hide_default_value = true)]
    memo: String,
    /// Gas limit; found by simulation if left out
    #[arg(long)]
    gas: Option<u64>,
    /// Fee, for example 500uxpl; a fifth above the price now if left out
    #[arg(long, value_parser = amount::parse)]
    fee: Option<Amount>,
    /// Who pays the fee, by an allowance that it granted: address, contact or key
    #[arg(long, value_name = "ACCOUNT")]
    fee_granter: Option<String>,
    /// How long to wait for the block
    #[arg(long, value_parser = amount::duration, default_value = WAIT, value_name = "TIME")]
    tx_timeout: Duration,
}

impl TxArgs {
    fn options(&self, app: &App) -> Result<TxOptions> {
        Ok(TxOptions {
            memo: self.memo.clone(),
            gas: self.gas,
            fee: self.fee.map(Amount::units),
            fee_granter: self.fee_granter.as_deref().map(|text| app.address(text)).transpose()?,
            timeout: self.tx_timeout,
            ..TxOptions::default()
        })
    }
}

/// Signs with the key of this command, sends, and waits for the block.
///
/// # Errors
/// What the chain refused it for; if it came into no block in time.
pub async fn send(app: &App, client: &Client, msg: Any, args: &TxArgs) -> Result<TxOutcome> {
    send_all(app, client, vec![msg], args).await
}

/// [`send`] of several messages in one transaction: all are carried out, or none.
///
/// # Errors
/// As [`send`].
pub async fn send_all(
    app: &App,
    client: &Client,
    msgs: Vec<Any>,
    args: &TxArgs,
) -> Result<TxOutcome> {
    let options = args.options(app)?;
    let wallet = app.wallet()?;
    let spinner = app.out.spinner("sending");
    let hash = client.submit(&wallet, msgs, &options).await?;
    drop(wallet);
    spinner.say(format!("waiting for the block of {}", short(&hash)));
    let waited = tokio::select! {
        waited = client.wait_tx(&hash, options.timeout) => waited,
        _ = tokio::signal::ctrl_c() => {
            return Err(Failure::interrupted(format!("stopped waiting; the transaction {hash} was sent"))
                .hint(format!("see what becomes of it:  xpl tx {hash} --wait")));
        }
    };
    Ok(waited?.ok()?)
}

/// The begin of a long name, for places where the whole one does not fit.
pub fn short(text: &str) -> String {
    text.chars().take(10).collect()
}

/// Runs `xpl bank`.
///
/// # Errors
/// If the chain refuses, or the recipient is doubtful.
pub async fn run(app: &App, command: BankCommand) -> Result<()> {
    match command {
        BankCommand::Send { to, amount, allow_lookalike, tx } => {
            pay(app, &to, amount, allow_lookalike, &tx).await
        }
        BankCommand::Balance { account, prove } => {
            let address =
                account.as_deref().map_or_else(|| app.own_address(), |text| app.address(text))?;
            let client = app.client().await?;
            // What is locked is computed from the block's time, so the balance alone can be proven.
            let (balance, spendable, verified) = if prove.prove {
                let prover = Prover::open(app, &client, &prove).await?;
                (proven_balance(&prover, address).await?, None, Some(prover.verified))
            } else {
                let balance = client.balance(address).await?;
                (balance, Some(client.spendable(address).await?), None)
            };
            let mut json = json!({
                "address": address.text(),
                "balance_uxpl": balance.text(),
                "balance_xpl": amount::decimal(balance).replace(',', ""),
            });
            let mut text = app.out.tone(Tone::Strong, &amount::xpl(balance));
            if let Some(spendable) = spendable {
                json["spendable_uxpl"] = spendable.text().into();
                json["locked_uxpl"] = locked(balance, spendable).text().into();
                if spendable != balance {
                    let (free, locked) =
                        (amount::xpl(spendable), amount::xpl(locked(balance, spendable)));
                    text.push_str(&format!(" ({free} spendable, {locked} locked)"));
                }
            }
            if let Some(verified) = verified {
                json["proof"] = verified.json();
                text =
                    format!("{text}\n{} {}", app.out.tone(Tone::Good, "proven"), verified.line());
            }
            app.out.print(&text, &json);
            Ok(())
        }
    }
}

/// What an account holds, proven; nothing is stored for zero.
async fn proven_balance(prover: &Prover<'_>, address: Address) -> Result<Amount> {
    let key = BalanceKey { address: address.text(), denom: DENOM.to_owned() };
    let coin: Option<Coin> = prover.get(&Object::Balance(key)).await?;
    let Some(coin) = coin else { return Ok(Amount::ZERO) };
    Amount::parse(&coin.amount)
        .ok_or_else(|| Failure::usage(format!("{:?} is no amount", clean(&coin.amount))))
}

/// What of a balance cannot be spent yet.
pub fn locked(balance: Amount, spendable: Amount) -> Amount {
    balance.minus(spendable).unwrap_or_default()
}

async fn pay(
    app: &App,
    to: &str,
    amount: Amount,
    allow_lookalike: bool,
    tx: &TxArgs,
) -> Result<()> {
    if amount == Amount::ZERO {
        return Err(Failure::usage("the amount is zero"));
    }
    let (from, recipient) = (app.own_address()?, app.address(to)?);
    let mut book = Contacts::load(&app.home)?;
    let keys = app.keyring().list()?;
    let address = recipient.text();

    let known = || {
        let own = keys.iter().map(|key| key.address.as_str());
        own.chain(book.contacts.values().map(String::as_str))
            .chain(book.paid.keys().map(String::as_str))
    };
    let is_known = known().any(|known| known == address);
    let name = keys
        .iter()
        .find(|key| key.address == address)
        .map(|key| format!(" (your key {})", key.name))
        .or_else(|| book.name_of(&address).map(|name| format!(" ({name})")))
        .unwrap_or_default();
    app.out
        .note(&format!("from    {from}\nto      {address}{name}\namount  {}", amount::xpl(amount)));
    if let Some(other) = look_alike(&address, known()) {
        let message = format!(
            "{address} looks like {other}, which you know, but it is another address: this is how money is stolen"
        );
        if !allow_lookalike {
            return Err(Failure::usage(message)
                .hint("compare every character; if it is right after all, add --allow-lookalike"));
        }
        app.out.warn(&message);
        app.confirm("Send to it all the same?")?;
    } else if !is_known {
        app.out.warn("you have never sent anything to this address: compare every character");
        app.confirm("Send?")?;
    }

    let client = app.client().await?;
    let msg = any(&MsgSend {
        from_address: from.text(),
        to_address: address.clone(),
        amount: vec![coin(amount)],
    });
    check_funds(&client, from, "the transfer needs", amount, &msg, tx).await?;
    let outcome = send(app, &client, msg, tx).await?;
    let paid = book.paid.entry(address.clone()).or_default();
    *paid = paid.saturating_add(1);
    if let Err(failure) = book.save(&app.home) {
        app.out.warn(&format!("sent, but the recipient could not be remembered: {failure}"));
    }
    done(app, &outcome, &format!("{} sent to {address}{name}", amount::xpl(amount)));
    Ok(())
}

/// Too little money, before anything was sent.
pub fn short_of(balance: Amount, what: &str, needed: Amount) -> Failure {
    Failure::refused(
        "sdk",
        5,
        format!(
            "the spendable balance is {}, {what} {}",
            amount::xpl(balance),
            amount::xpl(needed)
        ),
    )
    .hint("see  xpl bank balance ; nothing was sent")
}

/// Refuses what the account cannot pay, fee included, before it costs anything.
///
/// # Errors
/// If the balance is too small, the message is not well formed, or no node answers.
pub async fn check_funds(
    client: &Client,
    account: Address,
    what: &str,
    needed: Amount,
    msg: &Any,
    args: &TxArgs,
) -> Result<()> {
    let balance = client.spendable(account).await?;
    if balance < needed {
        return Err(short_of(balance, what, needed));
    }
    let fee = match args.fee {
        // Another pays it.
        _ if args.fee_granter.is_some() => Amount::ZERO,
        Some(fee) => fee,
        None => {
            let bytes = msg.encoded_len().saturating_add(ENVELOPE_BYTES);
            let gas = args.gas.unwrap_or(gas_of(msg, bytes)?);
            let required = client.prices().await?.required_uxpl(gas, bytes);
            Amount::new(required.saturating_mul(FEE_PERCENT).div_ceil(100))
        }
    };
    match needed.plus(fee) {
        Some(all) if all <= balance => Ok(()),
        _ => Err(short_of(
            balance,
            &format!("with a fee of {} {what}", amount::xpl(fee)),
            needed.plus(fee).unwrap_or(needed),
        )),
    }
}

/// What a transaction of one message and one signer costs, by the chain's own rules.
fn gas_of(msg: &Any, bytes: usize) -> Result<u64> {
    let msg = Msg::from_any(msg)
        .map_err(|refusal| explain(refusal.codespace, refusal.code, &refusal.log))?;
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    Ok(ante::TX_GAS
        .saturating_add(ante::BYTE_GAS.saturating_mul(bytes))
        .saturating_add(ante::SIGNATURE_GAS)
        .saturating_add(msg.gas()))
}

/// An amount of uxpl, as messages hold it.
pub fn coin(amount: Amount) -> Coin {
    Coin { denom: DENOM.to_owned(), amount: amount.text() }
}

/// Says what a transaction has done, and where it stands.
pub fn done(app: &App, outcome: &TxOutcome, text: &str) {
    let text = format!("{text}\n  transaction {} in block {}", outcome.hash, outcome.height);
    app.out.done(&text, &outcome_json(outcome));
}

/// What became of a transaction, as JSON.
pub fn outcome_json(outcome: &TxOutcome) -> Value {
    let events: Vec<Value> = outcome
        .events
        .iter()
        .map(|event| {
            let fields: Vec<Value> = event
                .attributes
                .iter()
                .map(|(key, value)| json!({ "key": key, "value": value }))
                .collect();
            json!({ "type": event.kind, "attributes": fields })
        })
        .collect();
    json!({
        "hash": outcome.hash,
        "height": outcome.height,
        "code": outcome.code,
        "codespace": outcome.codespace,
        "log": outcome.log,
        "gas_wanted": outcome.gas_wanted,
        "gas_used": outcome.gas_used,
        "events": events,
    })
}

/// Runs `xpl tx`. A transaction that failed is shown like any other: the question was answered.
///
/// # Errors
/// If no node answers or the transaction is in no block.
pub async fn show(app: &App, hash: &str, wait: bool) -> Result<()> {
    let hash = hash.strip_prefix("0x").unwrap_or(hash);
    let client = app.client().await?;
    let found = if wait {
        let _spinner = app.out.spinner("waiting for the block");
        Some(client.wait_tx(hash, TxOptions::default().timeout).await?)
    } else {
        client.tx(hash).await?
    };
    let outcome = found.ok_or_else(|| {
        Failure::refused("sdk", 22, format!("the transaction {hash} is in no block of this chain"))
            .hint("just sent? add --wait; is it the right chain? see  xpl status")
    })?;
    let mut json = outcome_json(&outcome);
    let mut table = Table::fields();
    table.field("transaction", &outcome.hash);
    table.field("block", outcome.height.to_string());
    if outcome.is_ok() {
        table.field_toned("result", "carried out", Tone::Good);
    } else {
        let failure = explain(&outcome.codespace, outcome.code, &outcome.log);
        let rule =
            format!("refused: {} ({}, code {})", failure.message, outcome.codespace, outcome.code);
        table.field_toned("result", rule, Tone::Bad);
    }
    let count = |gas: u64| amount::thousands(gas.into());
    table.field("gas", format!("{} of {}", count(outcome.gas_used), count(outcome.gas_wanted)));
    if let Some((body, fee)) = parts(&client, &outcome).await? {
        table.field("fee", amount::xpl_text(&fee));
        if !body.memo.is_empty() {
            table.field("memo", &body.memo);
        }
        let body = proto_json(&body)?;
        for message in body["messages"].as_array().into_iter().flatten() {
            fields_of(&mut table, message);
        }
        json["body"] = body;
        json["fee_uxpl"] = fee.into();
    }
    app.out.table(&table, "", &json);
    Ok(())
}

/// What a transaction asked for and paid; `None` if its block is not to be had any more.
async fn parts(client: &Client, outcome: &TxOutcome) -> Result<Option<(TxBody, String)>> {
    let Ok(block) = client.block(Some(outcome.height)).await else { return Ok(None) };
    let found = block.txs.iter().find(|bytes| plasma_modules::tx::hash(bytes) == outcome.hash);
    let read = |bytes: &[u8]| {
        let raw = TxRaw::decode(bytes)?;
        let fee = AuthInfo::decode(raw.auth_info_bytes.as_slice())?.fee.unwrap_or_default();
        let uxpl = fee.amount.into_iter().find(|coin| coin.denom == DENOM).map(|coin| coin.amount);
        Ok((TxBody::decode(raw.body_bytes.as_slice())?, uxpl.unwrap_or_default()))
    };
    found.map(|bytes| read(bytes)).transpose().map_err(|error: prost::DecodeError| {
        Failure::usage(format!("the transaction cannot be read: {error}"))
    })
}

/// A message's fields, one a line.
fn fields_of(table: &mut Table, message: &Value) {
    let kind = message["@type"].as_str().unwrap_or_default();
    table.field_toned("message", kind.rsplit('.').next().unwrap_or(kind), Tone::Strong);
    for (key, value) in message.as_object().into_iter().flatten().filter(|(key, _)| *key != "@type")
    {
        let text = match value {
            Value::Null => continue,
            Value::String(text) if text.is_empty() => continue,
            Value::Array(list) if list.is_empty() => continue,
            Value::String(text) if key.ends_with("_uxpl") => amount::xpl_text(text),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let cut: String = text.chars().take(VALUE_CHARS_MAX).collect();
        let cut = if cut.len() < text.len() { format!("{cut}...") } else { cut };
        table.field(&format!("  {key}"), cut);
    }
}
