//! `xpl authz`: letting others send messages in one's name.

use std::fs;
use std::io::{self, Read as _};
use std::time::Duration;

use clap::Subcommand;
use gpu_node::client::{Client, DENOM, any};
use plasma_modules::msg::Msg;
use plasma_modules::{Address, Amount};
use plasma_proto::cosmos::authz::v1beta1::{
    GenericAuthorization, Grant, GrantAuthorization, MsgExec, MsgGrant, MsgRevoke,
    QueryGranteeGrantsRequest, QueryGranteeGrantsResponse, QueryGranterGrantsRequest,
    QueryGranterGrantsResponse,
};
use plasma_proto::cosmos::bank::v1beta1::SendAuthorization;
use plasma_proto::cosmos::base::v1beta1::Coin;
use plasma_proto::cosmos::staking::v1beta1::stake_authorization::Policy;
use plasma_proto::cosmos::staking::v1beta1::{AuthorizationType, StakeAuthorization};
use prost_types::Any;
use serde_json::{Value, json};

use crate::App;
use crate::amount;
use crate::error::{Failure, Result, explain};
use crate::feegrant::{after, message_type, read};
use crate::node::{seconds, utc};
use crate::output::{Table, Tone, proto_from_json, proto_json};
use crate::query::all_pages;
use crate::tx::{self, TxArgs, outcome_json};

/// Largest file of messages that is read, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Messages sent for another.
#[derive(Debug, Subcommand)]
pub enum AuthzCommand {
    /// Let an account send messages in your name
    Grant {
        /// Address, contact or key
        grantee: String,
        /// Type of message, for example MsgSubmitJob: any message of it
        #[arg(long, value_name = "TYPE", required_unless_present = "spend_limit")]
        message: Option<String>,
        /// Let it send your XPL, up to this much, for example 5xpl
        #[arg(long, value_parser = amount::parse, value_name = "AMOUNT", conflicts_with = "message")]
        spend_limit: Option<Amount>,
        /// To whom alone it may send: address, contact or key; several if repeated
        #[arg(long = "to", value_name = "ACCOUNT", requires = "spend_limit")]
        recipients: Vec<String>,
        /// How long it holds, for example 30d; for good if left out
        #[arg(long, value_parser = amount::duration, value_name = "TIME")]
        expires: Option<Duration>,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Send messages that others let you send
    #[command(after_help = "\
The file holds one message or a list of them, in the JSON form of transactions:
  {\"@type\": \"/cosmos.bank.v1beta1.MsgSend\", \"from_address\": \"xpl1...\", \"to_address\": \"xpl1...\",
   \"amount\": [{\"denom\": \"uxpl\", \"amount\": \"1500000\"}]}
Each runs as its own signer; the first that is refused refuses all.")]
    Exec {
        /// File of messages; - for standard input
        file: String,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// Take a grant back
    Revoke {
        /// Address, contact or key
        grantee: String,
        /// Type of message
        #[arg(value_name = "TYPE")]
        message: String,
        #[command(flatten)]
        tx: TxArgs,
    },
    /// The grants that an account has, and those that it gave
    List {
        /// Address, contact or key; your own if left out
        account: Option<String>,
    },
}

/// Runs `xpl authz`.
///
/// # Errors
/// If the chain refuses.
pub async fn run(app: &App, command: AuthzCommand) -> Result<()> {
    match command {
        AuthzCommand::Grant { grantee, message, spend_limit, recipients, expires, tx } => {
            let (granter, grantee) = (app.own_address()?, app.address(&grantee)?);
            let authorization = match (message, spend_limit) {
                (_, Some(limit)) => {
                    let to = recipients.iter().map(|text| Ok(app.address(text)?.text()));
                    let allow_list = to.collect::<Result<Vec<_>>>()?;
                    any(&SendAuthorization { spend_limit: vec![tx::coin(limit)], allow_list })
                }
                (message, None) => {
                    let msg = message_type(&message.unwrap_or_default())?;
                    any(&GenericAuthorization { msg })
                }
            };
            let client = app.client().await?;
            let expiration = match expires {
                Some(span) => Some(after(client.status().await?.time_s, span)?),
                None => None,
            };
            let text = words(&authorization);
            let grant = Some(Grant { authorization: Some(authorization), expiration });
            let msg = MsgGrant { granter: granter.text(), grantee: grantee.text(), grant };
            app.confirm(&format!("Let {grantee} send in your name: {text}?"))?;
            let outcome = tx::send(app, &client, any(&msg), &tx).await?;
            let text = format!("{grantee} may send in your name: {text}");
            app.out.done(&text, &outcome_json(&outcome));
            Ok(())
        }
        AuthzCommand::Exec { file, tx } => {
            let grantee = app.own_address()?;
            let msg = exec(grantee, &text_of(&file)?)?;
            let client = app.client().await?;
            let count = msg.msgs.len();
            let outcome = tx::send(app, &client, any(&msg), &tx).await?;
            tx::done(app, &outcome, &format!("{count} messages carried out"));
            Ok(())
        }
        AuthzCommand::Revoke { grantee, message, tx } => {
            let (granter, grantee) = (app.own_address()?, app.address(&grantee)?);
            let msg_type_url = message_type(&message)?;
            let client = app.client().await?;
            let text = format!("{grantee} may no longer send {msg_type_url} in your name");
            let (granter, grantee) = (granter.text(), grantee.text());
            let msg = MsgRevoke { granter, grantee, msg_type_url };
            let outcome = tx::send(app, &client, any(&msg), &tx).await?;
            app.out.done(&text, &outcome_json(&outcome));
            Ok(())
        }
        AuthzCommand::List { account } => {
            let address =
                account.as_deref().map_or_else(|| app.own_address(), |text| app.address(text))?;
            list(app, &app.client().await?, address).await
        }
    }
}

/// What a file holds; `-` is standard input.
///
/// # Errors
/// If it cannot be read.
pub fn text_of(file: &str) -> Result<String> {
    let failed = |error: io::Error| Failure::usage(format!("{file}: {error}"));
    let mut text = String::new();
    let read = if file == "-" {
        io::stdin().take(FILE_BYTES_MAX).read_to_string(&mut text)
    } else {
        fs::File::open(file)
            .and_then(|opened| opened.take(FILE_BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(failed)?;
    Ok(text)
}

/// The messages of a JSON text: one, a list, or a body with `messages`.
///
/// # Errors
/// If it is none of these.
pub fn message_list(text: &str) -> Result<Vec<Value>> {
    let json: Value = serde_json::from_str(text)
        .map_err(|error| Failure::usage(format!("the messages are no JSON: {error}")))?;
    match json {
        Value::Array(list) => Ok(list),
        Value::Object(mut body) if body.contains_key("messages") => match body.remove("messages") {
            Some(Value::Array(list)) => Ok(list),
            _ => Err(Failure::usage("\"messages\" is no list")),
        },
        one => Ok(vec![one]),
    }
}

/// The messages of a file, as one that the chain would take as well formed.
fn exec(grantee: Address, text: &str) -> Result<MsgExec> {
    let whole = json!({ "grantee": grantee.text(), "msgs": message_list(text)? });
    let msg: MsgExec = proto_from_json(&whole)?;
    Msg::from_any(&any(&msg))
        .map_err(|refusal| explain(refusal.codespace, refusal.code, &refusal.log))?;
    Ok(msg)
}

async fn list(app: &App, client: &Client, address: Address) -> Result<()> {
    let has = all_pages!(
        client,
        "/cosmos.authz.v1beta1.Query/GranteeGrants",
        QueryGranteeGrantsResponse,
        grants,
        |pagination| { QueryGranteeGrantsRequest { grantee: address.text(), pagination } }
    );
    let gave = all_pages!(
        client,
        "/cosmos.authz.v1beta1.Query/GranterGrants",
        QueryGranterGrantsResponse,
        grants,
        |pagination| { QueryGranterGrantsRequest { granter: address.text(), pagination } }
    );
    let mut table = Table::new(["GRANTER", "GRANTEE", "MAY SEND", "UNTIL"]);
    for grant in has.iter().chain(&gave) {
        let GrantAuthorization { granter, grantee, authorization, expiration } = grant;
        let until = expiration.map(|time| utc(seconds(Some(&time))));
        table.toned([
            (granter.clone(), Tone::Plain),
            (grantee.clone(), Tone::Plain),
            (authorization.as_ref().map(words).unwrap_or_default(), Tone::Strong),
            (until.unwrap_or_else(|| "taken back".to_owned()), Tone::Plain),
        ]);
    }
    let documents =
        |grants: &[GrantAuthorization]| grants.iter().map(proto_json).collect::<Result<Vec<_>>>();
    let json = json!({ "has": documents(&has)?, "gave": documents(&gave)? });
    app.out.table(&table, "no grants", &json);
    Ok(())
}

/// An authorization for people.
fn words(authorization: &Any) -> String {
    if let Some(GenericAuthorization { msg }) = read(authorization) {
        return format!("any {}", msg.rsplit('.').next().unwrap_or_default());
    }
    let coin_text = |coin: &Coin| match coin.denom.as_str() {
        DENOM => amount::xpl_text(&coin.amount),
        denom => format!("{} {denom}", coin.amount),
    };
    if let Some(stake) = read::<StakeAuthorization>(authorization) {
        let message = match stake.authorization_type() {
            AuthorizationType::Delegate => "MsgDelegate",
            AuthorizationType::Undelegate => "MsgUndelegate",
            AuthorizationType::Redelegate => "MsgBeginRedelegate",
            AuthorizationType::CancelUnbondingDelegation => "MsgCancelUnbondingDelegation",
            AuthorizationType::Unspecified => "no message",
        };
        let most = stake.max_tokens.as_ref().map(coin_text);
        let most = most.map(|most| format!(" of up to {most}")).unwrap_or_default();
        let with = match stake.policy {
            Some(Policy::AllowList(list)) if !list.address.is_empty() => list.address.join(", "),
            Some(Policy::DenyList(list)) if !list.address.is_empty() => {
                format!("any validator but {}", list.address.join(", "))
            }
            _ => "any validator".to_owned(),
        };
        return format!("{message}{most} with {with}");
    }
    let Some(SendAuthorization { spend_limit, allow_list }) = read(authorization) else {
        return authorization.type_url.clone();
    };
    let coins: Vec<_> = spend_limit.iter().map(coin_text).collect();
    let to = if allow_list.is_empty() { "anybody".to_owned() } else { allow_list.join(", ") };
    format!("MsgSend of up to {} to {to}", coins.join(", "))
}

#[cfg(test)]
mod tests {
    use plasma_proto::cosmos::staking::v1beta1::stake_authorization::Validators;

    use super::*;

    #[test]
    fn a_grant_of_stake_is_told_in_words() {
        let stake = StakeAuthorization {
            max_tokens: Some(tx::coin(Amount::new(1_500_000))),
            authorization_type: AuthorizationType::Redelegate.into(),
            policy: None,
        };
        let text = words(&any(&stake));
        assert_eq!(text, "MsgBeginRedelegate of up to 1.5 XPL with any validator");
        let named = ["xplvaloper1a".to_owned(), "xplvaloper1b".to_owned()];
        let list = Validators { address: named.into() };
        let policy = Some(Policy::DenyList(list));
        let kind = AuthorizationType::Delegate.into();
        let stake = StakeAuthorization { max_tokens: None, authorization_type: kind, policy };
        let text = words(&any(&stake));
        assert_eq!(text, "MsgDelegate with any validator but xplvaloper1a, xplvaloper1b");
    }

    #[test]
    fn messages_of_a_file_become_one() {
        let (grantee, other) = (Address([1; 20]), Address([2; 20]).text());
        let send = json!({
            "@type": "/cosmos.bank.v1beta1.MsgSend",
            "from_address": other,
            "to_address": grantee.text(),
            "amount": [{ "denom": "uxpl", "amount": "5" }],
        });
        for (json, count) in [
            (send.clone(), 1),
            (json!([send, send]), 2),
            (json!({ "messages": [send], "memo": "" }), 1),
        ] {
            let msg = exec(grantee, &json.to_string()).unwrap();
            assert_eq!((msg.msgs.len(), msg.grantee), (count, grantee.text()));
        }
        let mut dust = send.clone();
        dust["amount"][0]["amount"] = "0".into();
        assert_eq!(exec(grantee, &dust.to_string()).unwrap_err().code, 10);
        for nonsense in ["", "7", "[]", "{}", "{\"@type\": \"/a.b\"}"] {
            assert!(exec(grantee, nonsense).is_err(), "{nonsense:?}");
        }
    }
}
