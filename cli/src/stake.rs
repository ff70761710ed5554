//! `xpl stake`: validators, what one has with them, and what it earns.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use gpu_node::client::{Client, DENOM, any};
use plasma_modules::{Address, Amount};
use plasma_proto::cosmos::base::v1beta1::DecCoin;
use plasma_proto::cosmos::crypto::ed25519;
use plasma_proto::cosmos::distribution::v1beta1::{
    MsgSetWithdrawAddress, MsgWithdrawDelegatorReward, MsgWithdrawValidatorCommission,
    QueryDelegationTotalRewardsRequest, QueryDelegationTotalRewardsResponse,
    QueryDelegatorWithdrawAddressRequest, QueryDelegatorWithdrawAddressResponse,
    QueryValidatorCommissionRequest, QueryValidatorCommissionResponse,
};
use plasma_proto::cosmos::mint::v1beta1::{QueryInflationRequest, QueryInflationResponse};
use plasma_proto::cosmos::slashing::v1beta1::MsgUnjail;
use plasma_proto::cosmos::staking::v1beta1::{
    BondStatus, CommissionRates, DelegationResponse, Description, MsgBeginRedelegate,
    MsgCancelUnbondingDelegation, MsgCreateValidator, MsgDelegate, MsgEditValidator, MsgUndelegate,
    QueryDelegatorDelegationsRequest, QueryDelegatorDelegationsResponse,
    QueryDelegatorUnbondingDelegationsRequest, QueryDelegatorUnbondingDelegationsResponse,
    QueryParamsRequest, QueryParamsResponse, QueryPoolRequest, QueryPoolResponse,
    QueryRedelegationsRequest, QueryRedelegationsResponse, QueryValidatorRequest,
    QueryValidatorResponse, QueryValidatorsRequest, QueryValidatorsResponse, RedelegationResponse,
    UnbondingDelegation, Validator,
};
use plasma_proto::plasma::attestation::v1::MsgSetBeaconKey;
use prost_types::Any;
use serde_json::{Value, json};

use crate::App;
use crate::amount::{self, fraction, percent, percent_rounded, thousands, xpl_text};
use crate::error::{Failure, Result};
use crate::node::{seconds, utc};
use crate::output::{Table, Tone, clean, proto_json};
use crate::query::all_pages;
use crate::tx::{self, TxArgs, coin, done};

/// In an edit, what stays as it is: the Cosmos SDK's word for it.
const KEEP: &str = "[do-not-modify]";
/// Messages of one transaction of `xpl stake withdraw`: the chain's own bound is 64.
const WITHDRAWALS_MAX: usize = 60;

/// Stake.
#[derive(Debug, Subcommand)]
pub enum StakeCommand {
    /// Who validates, by stake
    Validators {
        /// Those that are not in the set as well
        #[arg(long)]
        all: bool,
    },
    /// One validator
    Show {
        /// Its operator (xplvaloper1.. or xpl1..), its name, or a contact or key
        validator: String,
    },
    /// What an account has staked, what comes back when, and what it has earned
    List {
        /// Address, contact or key; your own if left out
        account: Option<String>,
    },
    /// Stake XPL with a validator
    Delegate {
        /// The validator: operator, name, contact or key
        validator: String,
        /// For example 5xpl
        #[arg(value_parser = amount::parse)]
        amount: Amount,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Take stake back; it is paid out when the unbonding time has passed
    Undelegate {
        /// The validator: operator, name, contact or key
        validator: String,
        /// For example 5xpl
        #[arg(value_parser = amount::parse)]
        amount: Amount,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Move stake from one validator to another, at once
    Redelegate {
        /// From: operator, name, contact or key
        source: String,
        /// To: operator, name, contact or key
        target: String,
        /// For example 5xpl
        #[arg(value_parser = amount::parse)]
        amount: Amount,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Put stake that is on its way back to work again
    CancelUnbonding {
        /// The validator: operator, name, contact or key
        validator: String,
        /// For example 5xpl
        #[arg(value_parser = amount::parse)]
        amount: Amount,
        /// Block in which it was taken back; needed where there are several (xpl stake list)
        #[arg(long, value_name = "HEIGHT")]
        height: Option<i64>,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Fetch what stake has earned
    Withdraw {
        /// From these validators; from all of them if left out
        validators: Vec<String>,
        /// Fetch the commission of your own validator as well
        #[arg(long)]
        commission: bool,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Have earnings paid to another account from now on
    WithdrawTo {
        /// Address, contact or key
        account: String,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// How much is staked, what it yields, and the rules
    Pool,
    /// Become a validator
    #[command(after_help = "\
The public key is that of the node's CometBFT:
  jq -r .pub_key.value ~/.plasma/cometbft/config/priv_validator_key.json
or hand the file itself to --key-file; the private key is not read.")]
    Create(CreateArgs),
    /// Change what your validator says of itself, or its commission
    Edit(EditArgs),
    /// Say with which key your validator proves the randomness of its blocks
    #[command(after_help = "\
Both stand in what the node says:
  plasmad beacon-key --operator ADDRESS
The key counts from the second epoch after this one (some thousand blocks later); until then the one before it does.")]
    BeaconKey {
        /// The key, hexadecimal
        #[arg(value_name = "PUBLIC_KEY", value_parser = hexadecimal)]
        key: Bytes,
        /// That the node has its secret, hexadecimal
        #[arg(value_parser = hexadecimal)]
        proof: Bytes,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Let your validator back in after it was jailed for being away
    Unjail {
        #[command(flatten)]
        tx: TxArgs,
    },
}

/// Bytes that were given as hexadecimal text.
type Bytes = std::sync::Arc<[u8]>;

fn hexadecimal(text: &str) -> std::result::Result<Bytes, &'static str> {
    let bytes = plasma_modules::types::unhex(text).ok_or("must be hexadecimal digits, in pairs")?;
    Ok(bytes.into())
}

/// A new validator.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Its name for people
    #[arg(long)]
    moniker: String,
    /// Your own stake, for example 1000xpl
    #[arg(long = "self", value_parser = amount::parse, value_name = "AMOUNT")]
    own: Amount,
    /// Consensus key, ed25519, base64
    #[arg(long, value_name = "BASE64", required_unless_present = "key_file")]
    pubkey: Option<String>,
    /// CometBFT's priv_validator_key.json, of which only the public key is read
    #[arg(long, value_name = "FILE", conflicts_with = "pubkey")]
    key_file: Option<PathBuf>,
    /// Part of the delegators' earnings that you keep
    #[arg(long, value_parser = fraction, default_value = "5%", value_name = "PERCENT")]
    commission: u128,
    /// What it may ever be; cannot be changed later
    #[arg(long, value_parser = fraction, default_value = "20%", value_name = "PERCENT")]
    commission_max: u128,
    /// By how much it may move in a day; cannot be changed later
    #[arg(long, value_parser = fraction, default_value = "1%", value_name = "PERCENT")]
    commission_step: u128,
    /// Below this own stake the validator leaves the set
    #[arg(long, value_parser = amount::parse, default_value = "1xpl", value_name = "AMOUNT")]
    min_self: Amount,
    #[command(flatten)]
    about: AboutArgs,
    #[command(flatten)]
    tx: TxArgs,
}

/// A change of a validator.
#[derive(Debug, Args)]
pub struct EditArgs {
    /// Its name for people
    #[arg(long)]
    moniker: Option<String>,
    /// Part of the delegators' earnings that you keep; moves at most once a day, by its step
    #[arg(long, value_parser = fraction, value_name = "PERCENT")]
    commission: Option<u128>,
    /// Below this own stake the validator leaves the set; may only rise
    #[arg(long, value_parser = amount::parse, value_name = "AMOUNT")]
    min_self: Option<Amount>,
    #[command(flatten)]
    about: AboutArgs,
    #[command(flatten)]
    tx: TxArgs,
}

/// What a validator says of itself.
#[derive(Debug, Args)]
struct AboutArgs {
    /// Keybase identity
    #[arg(long)]
    identity: Option<String>,
    /// Its page
    #[arg(long, value_name = "URL")]
    website: Option<String>,
    /// Whom to tell of a fault
    #[arg(long, value_name = "CONTACT")]
    security_contact: Option<String>,
    /// A sentence about it
    #[arg(long)]
    details: Option<String>,
}

impl AboutArgs {
    /// As the chain reads it; what was not given is `otherwise`.
    fn description(&self, moniker: Option<&str>, otherwise: &str) -> Description {
        let or = |text: &Option<String>| text.as_deref().unwrap_or(otherwise).to_owned();
        Description {
            moniker: moniker.unwrap_or(otherwise).to_owned(),
            identity: or(&self.identity),
            website: or(&self.website),
            security_contact: or(&self.security_contact),
            details: or(&self.details),
        }
    }
}

/// Runs `xpl stake`.
///
/// # Errors
/// If the chain refuses, or there is no such validator.
pub async fn run(app: &App, command: StakeCommand) -> Result<()> {
    match command {
        StakeCommand::Validators { all } => validators(app, all).await,
        StakeCommand::Show { validator } => show(app, &validator).await,
        StakeCommand::List { account } => list(app, account.as_deref()).await,
        StakeCommand::Pool => pool(app).await,
        StakeCommand::Delegate { validator, amount, tx } => {
            let (delegator, client) = (app.own_address()?, app.client().await?);
            let to = find(app, &client, &validator).await?;
            let balance = client.spendable(delegator).await?;
            if balance < amount {
                return Err(tx::short_of(balance, "this stake", amount));
            }
            let days = unbonding(&client).await?;
            app.confirm(&format!(
                "Stake {} with {}? It can be taken back; that takes {days}, and a validator's offence costs its delegators too",
                amount::xpl(amount),
                named(&to)
            ))?;
            let msg = MsgDelegate {
                delegator_address: delegator.text(),
                validator_address: to.operator_address.clone(),
                amount: Some(coin(amount)),
            };
            let outcome = tx::send(app, &client, any(&msg), &tx).await?;
            done(app, &outcome, &format!("{} staked with {}", amount::xpl(amount), named(&to)));
            Ok(())
        }
        StakeCommand::Undelegate { validator, amount, tx } => {
            let (delegator, client) = (app.own_address()?, app.client().await?);
            let from = find(app, &client, &validator).await?;
            let msg = MsgUndelegate {
                delegator_address: delegator.text(),
                validator_address: from.operator_address.clone(),
                amount: Some(coin(amount)),
            };
            let outcome = tx::send(app, &client, any(&msg), &tx).await?;
            let days = unbonding(&client).await?;
            let text = format!(
                "{} leave {} and are paid out in {days}  (see xpl stake list)",
                amount::xpl(amount),
                named(&from)
            );
            done(app, &outcome, &text);
            Ok(())
        }
        StakeCommand::Redelegate { source, target, amount, tx } => {
            let (delegator, client) = (app.own_address()?, app.client().await?);
            let from = find(app, &client, &source).await?;
            let to = find(app, &client, &target).await?;
            let msg = MsgBeginRedelegate {
                delegator_address: delegator.text(),
                validator_src_address: from.operator_address.clone(),
                validator_dst_address: to.operator_address.clone(),
                amount: Some(coin(amount)),
            };
            let outcome = tx::send(app, &client, any(&msg), &tx).await?;
            let text =
                format!("{} moved from {} to {}", amount::xpl(amount), named(&from), named(&to));
            done(app, &outcome, &text);
            Ok(())
        }
        StakeCommand::CancelUnbonding { validator, amount, height, tx } => {
            let (delegator, client) = (app.own_address()?, app.client().await?);
            let with = find(app, &client, &validator).await?;
            let creation_height = match height {
                Some(height) => height,
                None => only_entry(&client, delegator, &with).await?,
            };
            let msg = MsgCancelUnbondingDelegation {
                delegator_address: delegator.text(),
                validator_address: with.operator_address.clone(),
                amount: Some(coin(amount)),
                creation_height,
            };
            let outcome = tx::send(app, &client, any(&msg), &tx).await?;
            let text = format!("{} are staked with {} again", amount::xpl(amount), named(&with));
            done(app, &outcome, &text);
            Ok(())
        }
        StakeCommand::Withdraw { validators, commission, tx } => {
            withdraw(app, &validators, commission, &tx).await
        }
        StakeCommand::WithdrawTo { account, tx } => {
            let (delegator, to) = (app.own_address()?, app.address(&account)?);
            let client = app.client().await?;
            app.confirm(&format!("Have everything that your stake earns paid to {to}?"))?;
            let msg = MsgSetWithdrawAddress {
                delegator_address: delegator.text(),
                withdraw_address: to.text(),
            };
            let outcome = tx::send(app, &client, any(&msg), &tx).await?;
            done(app, &outcome, &format!("earnings of {delegator} are paid to {to}"));
            Ok(())
        }
        StakeCommand::Create(args) => create(app, args).await,
        StakeCommand::Edit(args) => edit(app, args).await,
        StakeCommand::BeaconKey { key, proof, tx } => {
            let operator = app.own_address()?;
            let client = app.client().await?;
            let (public_key, proof) = (key.to_vec(), proof.to_vec());
            let msg = MsgSetBeaconKey { operator: operator.text(), public_key, proof };
            let outcome = tx::send(app, &client, any(&msg), &tx).await?;
            done(app, &outcome, "the key is set, and counts from the second epoch after this one");
            Ok(())
        }
        StakeCommand::Unjail { tx } => {
            let operator = app.own_address()?;
            let client = app.client().await?;
            let msg = MsgUnjail { validator_addr: operator.operator_text() };
            let outcome = tx::send(app, &client, any(&msg), &tx).await?;
            done(app, &outcome, "your validator may join the set again");
            Ok(())
        }
    }
}

fn named(validator: &Validator) -> String {
    let moniker = validator.description.as_ref().map(|about| about.moniker.as_str());
    match moniker {
        Some(name) if !name.is_empty() => {
            format!("{} ({})", clean(name), validator.operator_address)
        }
        _ => validator.operator_address.clone(),
    }
}

fn moniker(validator: &Validator) -> String {
    validator.description.as_ref().map(|about| clean(&about.moniker)).unwrap_or_default()
}

/// Whole uxpl of decimal coins, which are scaled by 10^18; the rest is not paid yet.
fn whole(coins: &[DecCoin]) -> Amount {
    let uxpl = coins.iter().find(|coin| coin.denom == DENOM);
    uxpl.map_or(Amount::ZERO, |coin| amount::whole(&coin.amount))
}

fn status(validator: &Validator) -> (&'static str, Tone) {
    match (validator.jailed, validator.status()) {
        (true, _) => ("jailed", Tone::Bad),
        (_, BondStatus::Bonded) => ("validating", Tone::Good),
        (_, BondStatus::Unbonding) => ("leaving", Tone::Warn),
        (_, BondStatus::Unbonded) => ("waiting", Tone::Dim),
        (_, BondStatus::Unspecified) => ("unknown", Tone::Dim),
    }
}

fn commission(validator: &Validator) -> CommissionRates {
    validator.commission.clone().and_then(|all| all.commission_rates).unwrap_or_default()
}

/// Every validator, those with most stake first.
async fn all(client: &Client) -> Result<Vec<Validator>> {
    let mut found = all_pages!(
        client,
        "/cosmos.staking.v1beta1.Query/Validators",
        QueryValidatorsResponse,
        validators,
        |pagination| { QueryValidatorsRequest { status: String::new(), pagination } }
    );
    let stake = |validator: &Validator| Amount::parse(&validator.tokens).unwrap_or_default();
    found.sort_by(|a, b| {
        stake(b).cmp(&stake(a)).then_with(|| a.operator_address.cmp(&b.operator_address))
    });
    Ok(found)
}

/// The validator that a text stands for: its operator, a contact or key, or its name.
async fn find(app: &App, client: &Client, text: &str) -> Result<Validator> {
    let operator = Address::parse_operator(text).or_else(|_| app.address(text));
    if let Ok(operator) = operator {
        let request = QueryValidatorRequest { validator_addr: operator.operator_text() };
        let answer: QueryValidatorResponse =
            client.query("/cosmos.staking.v1beta1.Query/Validator", &request).await?;
        return Ok(answer.validator.unwrap_or_default());
    }
    let all = all(client).await?;
    let fits: Vec<_> = all.iter().filter(|one| moniker(one).eq_ignore_ascii_case(text)).collect();
    match fits.as_slice() {
        [only] => Ok((*only).clone()),
        [] => Err(Failure::usage(format!("{text:?} is no validator"))
            .hint("see  xpl stake validators --all")),
        // Anybody can take any name.
        _ => Err(Failure::usage(format!("{} validators call themselves {text:?}", fits.len()))
            .hint("say which by its operator, xplvaloper1..:  xpl stake validators --all")),
    }
}

async fn validators(app: &App, with_all: bool) -> Result<()> {
    let client = app.client().await?;
    let found = all(&client).await?;
    let bonded = found.iter().filter(|one| one.status() == BondStatus::Bonded);
    let total = bonded.fold(0, |sum: u128, one| {
        sum.saturating_add(Amount::parse(&one.tokens).unwrap_or_default().units())
    });
    let mut table = Table::new(["NAME", "OPERATOR", "STATUS", "STAKE", "POWER", "COMMISSION"]);
    let shown = |one: &&Validator| with_all || one.status() == BondStatus::Bonded;
    let shown: Vec<_> = found.iter().filter(shown).collect();
    for one in &shown {
        let (word, tone) = status(one);
        let tokens = Amount::parse(&one.tokens).unwrap_or_default().units();
        let power = match (one.status(), total) {
            (BondStatus::Bonded, 1..) => amount::share(tokens, total),
            _ => "-".to_owned(),
        };
        table.toned([
            (moniker(one), Tone::Strong),
            (one.operator_address.clone(), Tone::Plain),
            (word.to_owned(), tone),
            (xpl_text(&one.tokens), Tone::Plain),
            (power, Tone::Plain),
            (percent(&commission(one).rate), Tone::Plain),
        ]);
    }
    let json = shown.iter().map(|one| proto_json(*one)).collect::<Result<Vec<_>>>()?;
    app.out.table(&table, "no validators", &json);
    Ok(())
}

async fn show(app: &App, text: &str) -> Result<()> {
    let client = app.client().await?;
    let one = find(app, &client, text).await?;
    let operator = Address::parse_operator(&one.operator_address)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let request =
        QueryValidatorCommissionRequest { validator_address: one.operator_address.clone() };
    let earned: QueryValidatorCommissionResponse =
        client.query("/cosmos.distribution.v1beta1.Query/ValidatorCommission", &request).await?;
    let earned = earned.commission.unwrap_or_default().commission;
    let about = one.description.clone().unwrap_or_default();
    let rates = commission(&one);
    let (word, tone) = status(&one);
    let mut table = Table::fields();
    table.field_toned("name", clean(&about.moniker), Tone::Strong);
    table.field("operator", &one.operator_address);
    table.field("account", operator.text());
    table.field_toned("status", word, tone);
    if one.status() == BondStatus::Unbonding {
        table.field("leaves at", utc(seconds(one.unbonding_time.as_ref())));
    }
    table.field("stake", xpl_text(&one.tokens));
    table.field("own stake at least", xpl_text(&one.min_self_delegation));
    table.field(
        "commission",
        format!(
            "{} (never above {}, moves by at most {} a day)",
            percent(&rates.rate),
            percent(&rates.max_rate),
            percent(&rates.max_change_rate)
        ),
    );
    table.field("commission earned", amount::xpl(whole(&earned)));
    for (name, value) in [
        ("website", &about.website),
        ("identity", &about.identity),
        ("security contact", &about.security_contact),
        ("details", &about.details),
    ] {
        if !value.is_empty() {
            table.field(name, clean(value));
        }
    }
    let mut json = proto_json(&one)?;
    json["commission_earned_uxpl"] = whole(&earned).text().into();
    app.out.table(&table, "", &json);
    Ok(())
}

/// What an account has with validators.
struct Stake {
    delegations: Vec<DelegationResponse>,
    unbonding: Vec<UnbondingDelegation>,
    redelegations: Vec<RedelegationResponse>,
    rewards: QueryDelegationTotalRewardsResponse,
}

impl Stake {
    async fn of(client: &Client, account: Address) -> Result<Self> {
        let delegations = all_pages!(
            client,
            "/cosmos.staking.v1beta1.Query/DelegatorDelegations",
            QueryDelegatorDelegationsResponse,
            delegation_responses,
            |pagination| {
                QueryDelegatorDelegationsRequest { delegator_addr: account.text(), pagination }
            }
        );
        let unbonding = all_pages!(
            client,
            "/cosmos.staking.v1beta1.Query/DelegatorUnbondingDelegations",
            QueryDelegatorUnbondingDelegationsResponse,
            unbonding_responses,
            |pagination| {
                let delegator_addr = account.text();
                QueryDelegatorUnbondingDelegationsRequest { delegator_addr, pagination }
            }
        );
        let redelegations = all_pages!(
            client,
            "/cosmos.staking.v1beta1.Query/Redelegations",
            QueryRedelegationsResponse,
            redelegation_responses,
            |pagination| {
                QueryRedelegationsRequest {
                    delegator_addr: account.text(),
                    src_validator_addr: String::new(),
                    dst_validator_addr: String::new(),
                    pagination,
                }
            }
        );
        let request = QueryDelegationTotalRewardsRequest { delegator_address: account.text() };
        let path = "/cosmos.distribution.v1beta1.Query/DelegationTotalRewards";
        let rewards = client.query(path, &request).await?;
        Ok(Self { delegations, unbonding, redelegations, rewards })
    }
}

async fn list(app: &App, account: Option<&str>) -> Result<()> {
    let account = account.map_or_else(|| app.own_address(), |text| app.address(text))?;
    let client = app.client().await?;
    let names: BTreeMap<String, String> = all(&client)
        .await?
        .iter()
        .map(|one| (one.operator_address.clone(), moniker(one)))
        .collect();
    let name = |operator: &str| names.get(operator).cloned().unwrap_or_default();
    let stake = Stake::of(&client, account).await?;
    let request = QueryDelegatorWithdrawAddressRequest { delegator_address: account.text() };
    let to: QueryDelegatorWithdrawAddressResponse = client
        .query("/cosmos.distribution.v1beta1.Query/DelegatorWithdrawAddress", &request)
        .await?;

    if app.out.is_json() {
        let rewards = proto_json(&stake.rewards)?;
        let each = |list: Vec<Result<Value>>| list.into_iter().collect::<Result<Vec<_>>>();
        app.out.json(&json!({
            "account": account.text(),
            "delegations": each(stake.delegations.iter().map(proto_json).collect())?,
            "unbonding": each(stake.unbonding.iter().map(proto_json).collect())?,
            "redelegations": each(stake.redelegations.iter().map(proto_json).collect())?,
            "rewards": rewards,
            "withdraw_address": to.withdraw_address,
        }));
        return Ok(());
    }
    let mut table = Table::new(["VALIDATOR", "OPERATOR", "STAKE", "EARNED"]);
    for one in &stake.delegations {
        let with = one.delegation.clone().unwrap_or_default().validator_address;
        let earned = stake.rewards.rewards.iter().find(|reward| reward.validator_address == with);
        let earned = earned.map_or(Amount::ZERO, |reward| whole(&reward.reward));
        let staked = one.balance.clone().unwrap_or_default().amount;
        table.toned([
            (name(&with), Tone::Strong),
            (with, Tone::Plain),
            (xpl_text(&staked), Tone::Plain),
            (amount::xpl(earned), Tone::Good),
        ]);
    }
    app.out.table(&table, "nothing is staked", &());
    if !stake.unbonding.is_empty() {
        let mut table = Table::new(["COMES BACK FROM", "AMOUNT", "AT", "TAKEN BACK IN BLOCK"]);
        for one in &stake.unbonding {
            for entry in &one.entries {
                table.row([
                    name(&one.validator_address),
                    xpl_text(&entry.balance),
                    utc(seconds(entry.completion_time.as_ref())),
                    thousands(u128::try_from(entry.creation_height).unwrap_or_default()),
                ]);
            }
        }
        app.out.print(&format!("\n{}", table.render(false).trim_end()), &());
    }
    if !stake.redelegations.is_empty() {
        let mut table = Table::new(["MOVED FROM", "TO", "AMOUNT", "STILL LIABLE UNTIL"]);
        for one in &stake.redelegations {
            let pair = one.redelegation.clone().unwrap_or_default();
            for entry in &one.entries {
                let until = entry.redelegation_entry.as_ref();
                let until = until.and_then(|entry| entry.completion_time.as_ref());
                table.row([
                    name(&pair.validator_src_address),
                    name(&pair.validator_dst_address),
                    xpl_text(&entry.balance),
                    utc(seconds(until)),
                ]);
            }
        }
        app.out.print(&format!("\n{}", table.render(false).trim_end()), &());
    }
    if to.withdraw_address != account.text() {
        app.out.note(&format!("earnings are paid to {}", to.withdraw_address));
    }
    Ok(())
}

/// The block of the only entry on its way back from a validator.
async fn only_entry(client: &Client, account: Address, with: &Validator) -> Result<i64> {
    let stake = Stake::of(client, account).await?;
    let entries: Vec<_> = stake
        .unbonding
        .iter()
        .filter(|one| one.validator_address == with.operator_address)
        .flat_map(|one| &one.entries)
        .collect();
    match entries.as_slice() {
        [only] => Ok(only.creation_height),
        [] => Err(Failure::usage(format!("nothing comes back from {}", named(with)))
            .hint("see  xpl stake list")),
        _ => {
            Err(Failure::usage(format!("{} amounts come back from {}", entries.len(), named(with)))
                .hint("say which by its block: --height; see  xpl stake list"))
        }
    }
}

async fn withdraw(app: &App, from: &[String], commission: bool, args: &TxArgs) -> Result<()> {
    let (account, client) = (app.own_address()?, app.client().await?);
    let mut operators = Vec::new();
    if from.is_empty() {
        let stake = Stake::of(&client, account).await?;
        operators.extend(
            stake
                .delegations
                .into_iter()
                .filter_map(|one| one.delegation)
                .map(|one| one.validator_address),
        );
    } else {
        for text in from {
            operators.push(find(app, &client, text).await?.operator_address);
        }
    }
    let delegator_address = account.text();
    let reward = |validator_address: String| {
        any(&MsgWithdrawDelegatorReward {
            delegator_address: delegator_address.clone(),
            validator_address,
        })
    };
    let mut msgs: Vec<Any> = operators.into_iter().map(reward).collect();
    if commission {
        let validator_address = account.operator_text();
        msgs.push(any(&MsgWithdrawValidatorCommission { validator_address }));
    }
    if msgs.is_empty() {
        return Err(Failure::usage("nothing is staked, so nothing is earned"));
    }
    if msgs.len() > WITHDRAWALS_MAX {
        return Err(Failure::usage(format!("more than {WITHDRAWALS_MAX} in one transaction"))
            .hint("name some of the validators"));
    }
    let outcome = tx::send_all(app, &client, msgs, args).await?;
    // What was paid stands in the events: `withdraw_rewards` and `withdraw_commission`.
    let paid = outcome
        .events
        .iter()
        .filter(|event| matches!(event.kind.as_str(), "withdraw_rewards" | "withdraw_commission"))
        .flat_map(|event| &event.attributes)
        .filter(|(key, _)| key == "amount")
        .filter_map(|(_, value)| Amount::parse(value.strip_suffix(DENOM)?))
        .fold(Amount::ZERO, |sum, amount| sum.plus(amount).unwrap_or(sum));
    done(app, &outcome, &format!("{} earned and paid out", amount::xpl(paid)));
    Ok(())
}

async fn staking_params(client: &Client) -> Result<plasma_proto::cosmos::staking::v1beta1::Params> {
    let answer: QueryParamsResponse =
        client.query("/cosmos.staking.v1beta1.Query/Params", &QueryParamsRequest {}).await?;
    Ok(answer.params.unwrap_or_default())
}

/// The unbonding time, for people.
async fn unbonding(client: &Client) -> Result<String> {
    let time = staking_params(client).await?.unbonding_time.unwrap_or_default();
    Ok(amount::span(u64::try_from(time.seconds).unwrap_or_default()))
}

async fn pool(app: &App) -> Result<()> {
    let client = app.client().await?;
    let params = staking_params(&client).await?;
    let answer: QueryPoolResponse =
        client.query("/cosmos.staking.v1beta1.Query/Pool", &QueryPoolRequest {}).await?;
    let pool = answer.pool.unwrap_or_default();
    let minted: QueryInflationResponse =
        client.query("/cosmos.mint.v1beta1.Query/Inflation", &QueryInflationRequest {}).await?;
    let inflation = String::from_utf8_lossy(&minted.inflation).into_owned();
    let time = params.unbonding_time.unwrap_or_default();
    let unbonding_s = u64::try_from(time.seconds).unwrap_or_default();
    let mut table = Table::fields();
    table.field("staked", xpl_text(&pool.bonded_tokens));
    table.field("not at work", xpl_text(&pool.not_bonded_tokens));
    table.field("inflation", format!("{} a year", percent_rounded(&inflation)));
    table.field("validators at most", params.max_validators.to_string());
    table.field("taking back takes", amount::span(unbonding_s));
    table.field("commission at least", percent(&params.min_commission_rate));
    let json = json!({
        "pool": proto_json(&pool)?,
        "params": proto_json(&params)?,
        "inflation": proto_json(&minted)?["inflation"],
    });
    app.out.table(&table, "", &json);
    Ok(())
}

/// A consensus key as a message carries it.
fn consensus_key(args: &CreateArgs) -> Result<Any> {
    let text = match (&args.pubkey, &args.key_file) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) => {
            let text =
                std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
            let json: Value = serde_json::from_str(&text).unwrap_or_default();
            let key = json["pub_key"]["value"].as_str().map(str::to_owned);
            key.ok_or_else(|| {
                Failure::usage(format!("{} has no pub_key.value", path.display()))
                    .hint("it is cometbft/config/priv_validator_key.json in the node's home")
            })?
        }
        (None, None) => return Err(Failure::usage("say --pubkey or --key-file")),
    };
    let key = STANDARD.decode(text.trim()).ok().filter(|key| key.len() == 32);
    let key = key.ok_or_else(|| {
        Failure::usage("the consensus key is not 32 bytes in base64").hint(
            "it looks like Jx0m2Xbb0YzV0P3k5CFmHn3p0cXo0Xo4m0mQ0aQ9b1E= ; CometBFT shows it in priv_validator_key.json",
        )
    })?;
    Ok(any(&ed25519::PubKey { key }))
}

async fn create(app: &App, args: CreateArgs) -> Result<()> {
    let operator = app.own_address()?;
    let pubkey = consensus_key(&args)?;
    let CreateArgs { moniker, own, commission, commission_max, commission_step, min_self, .. } =
        &args;
    if commission > commission_max || commission_step > commission_max {
        return Err(Failure::usage(
            "neither commission nor its step can be above --commission-max",
        ));
    }
    if own < min_self {
        return Err(Failure::usage("your own stake (--self) is below --min-self"));
    }
    let client = app.client().await?;
    let balance = client.spendable(operator).await?;
    if balance < *own {
        return Err(tx::short_of(balance, "your own stake", *own));
    }
    app.confirm(&format!(
        "Make {operator} a validator with {} of its own? Being away, or signing twice, costs part of it",
        amount::xpl(*own)
    ))?;
    #[allow(deprecated, reason = "old clients read it")]
    let msg = MsgCreateValidator {
        description: Some(args.about.description(Some(moniker), "")),
        commission: Some(CommissionRates {
            rate: commission.to_string(),
            max_rate: commission_max.to_string(),
            max_change_rate: commission_step.to_string(),
        }),
        min_self_delegation: min_self.text(),
        delegator_address: operator.text(),
        validator_address: operator.operator_text(),
        pubkey: Some(pubkey),
        value: Some(coin(*own)),
    };
    let outcome = tx::send(app, &client, any(&msg), &args.tx).await?;
    let text = format!("{} is a validator: {}", clean(moniker), operator.operator_text());
    done(app, &outcome, &text);
    Ok(())
}

async fn edit(app: &App, args: EditArgs) -> Result<()> {
    let operator = app.own_address()?;
    let EditArgs { moniker, commission, min_self, about, tx: tx_args } = &args;
    let client = app.client().await?;
    let msg = MsgEditValidator {
        description: Some(about.description(moniker.as_deref(), KEEP)),
        validator_address: operator.operator_text(),
        commission_rate: commission.map(|rate| rate.to_string()).unwrap_or_default(),
        min_self_delegation: min_self.map(|amount| amount.text()).unwrap_or_default(),
    };
    let outcome = tx::send(app, &client, any(&msg), tx_args).await?;
    done(app, &outcome, "your validator is changed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_coins_are_told_in_whole_uxpl() {
        let coin = |amount: &str| DecCoin { denom: DENOM.into(), amount: amount.into() };
        assert_eq!(whole(&[coin("1500000999999999999999999")]).units(), 1_500_000);
        assert_eq!(whole(&[coin("999999999999999999")]).units(), 0);
        assert_eq!(whole(&[]).units(), 0);
    }

    #[test]
    fn an_edit_leaves_what_was_not_given() {
        let about = AboutArgs {
            identity: None,
            website: Some("https://example.org".into()),
            security_contact: None,
            details: None,
        };
        let edited = about.description(None, KEEP);
        assert_eq!(
            (edited.moniker.as_str(), edited.website.as_str()),
            (KEEP, "https://example.org")
        );
        assert_eq!(about.description(Some("me"), "").identity, "");
    }
}
