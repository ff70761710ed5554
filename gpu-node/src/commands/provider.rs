use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use plasma_proto::plasma::market::v1::{
    Ask, MsgRegisterProvider, MsgUpdateProvider, QueryProviderRequest, QueryProviderResponse,
};

use super::{Home, keys, model, usage};
use crate::client::{Client, TxOptions, any};
use crate::config::OPERATOR_FILE;
use crate::receipt::ReceiptKey;
use crate::wallet::Wallet;

/// uxpl in an XPL.
const UXPL_PER_XPL: u128 = 1_000_000;

/// The operator's key, used for this command only.
#[derive(Debug, Args)]
pub(super) struct Operator {
    /// Sealed key file of the operator's account, as `xpl keys export --sealed` writes it
    #[arg(long, value_name = "FILE")]
    operator_key: PathBuf,
    /// File whose first line is the password of that key file; else it is asked for
    #[arg(long, value_name = "FILE")]
    operator_password_file: Option<PathBuf>,
}

impl Operator {
    pub(super) fn wallet(&self) -> anyhow::Result<Wallet> {
        let password_file = self.operator_password_file.as_deref();
        let flag = "--operator-password-file";
        keys::open_wallet(&self.operator_key, password_file, "operator", flag)
    }
}

/// What the chain is told.
#[derive(Debug, Args)]
pub(super) struct Terms {
    #[command(flatten)]
    operator: Operator,
    /// Price of a model, MODEL_ID:FRESH:CACHED:OUTPUT:SLOTS, in uxpl per million tokens; may be repeated
    /// [default: the models of gpu-node.toml]
    #[arg(long = "ask", visible_alias = "asks", value_name = "ASK", value_parser = parse_ask)]
    asks: Vec<Ask>,
    /// Where clients reach this machine [default: the configured endpoint]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Where the machine stands [default: the configured region]
    #[arg(long)]
    region: Option<String>,
    /// How long to wait for the transaction's block, seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    timeout: u64,
}

#[derive(Debug, Args)]
pub(super) struct Register {
    /// Put up as a bond: uxpl, or with a unit, for example 900XPL
    #[arg(long, value_name = "AMOUNT", value_parser = parse_amount)]
    bond: u128,
    #[command(flatten)]
    terms: Terms,
}

#[derive(Debug, Args)]
pub(super) struct Update {
    #[command(flatten)]
    terms: Terms,
    /// Gives the chain this home's receipt key; refused while jobs are assigned
    #[arg(long)]
    rotate_receipt_key: bool,
}

/// Reads `900`, `900uxpl` or `0.5XPL` as uxpl.
fn parse_amount(text: &str) -> Result<u128, String> {
    let bad = || format!("{text:?} is no amount: 5000000, 5000000uxpl or 5XPL");
    let number = |digits: &str| -> Option<u128> {
        let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    if let Some(digits) = text.strip_suffix("uxpl") {
        return number(digits).ok_or_else(bad);
    }
    let Some(xpl) = text.strip_suffix("XPL").or_else(|| text.strip_suffix("xpl")) else {
        return number(text).ok_or_else(bad);
    };
    let (whole, part) = xpl.split_once('.').unwrap_or((xpl, "0"));
    if part.len() > 6 {
        return Err(bad());
    }
    let part = number(&format!("{part:0<6}")).ok_or_else(bad)?;
    number(whole)
        .and_then(|whole| whole.checked_mul(UXPL_PER_XPL)?.checked_add(part))
        .ok_or_else(bad)
}

fn parse_ask(text: &str) -> Result<Ask, String> {
    let bad = || format!("{text:?} is no ask: MODEL_ID:FRESH:CACHED:OUTPUT:SLOTS");
    let parts: Vec<&str> = text.split(':').collect();
    let [id, fresh, cached, output, slots] = parts[..] else { return Err(bad()) };
    let price = |digits: &str| digits.parse().map_err(|_| bad());
    Ok(Ask {
        model_id: model::parse_id(id).map_err(|error| error.to_string())?.to_vec(),
        fresh_uxpl_per_mtok: price(fresh)?,
        cached_uxpl_per_mtok: price(cached)?,
        output_uxpl_per_mtok: price(output)?,
        slots: slots.parse().map_err(|_| bad())?,
    })
}

/// Everything that both commands need.
struct Prepared {
    client: Client,
    operator: Wallet,
    key: ReceiptKey,
    asks: Vec<Ask>,
    endpoint: String,
    region: String,
    options: TxOptions,
}

impl Terms {
    async fn prepare(self, home: &Home) -> anyhow::Result<Prepared> {
        let client = Client::connect(&home.config.node).await?;
        let operator = self.operator.wallet()?;
        let keys::Open { receipt, reporter } = home.keys().open()?;
        ensure!(
            reporter.address() != operator.address(),
            usage("the operator's account must not be the reporter: its key stays offline")
        );
        let key = ReceiptKey::new(&receipt, client.chain_id());
        let asks = match self.asks {
            asks if asks.is_empty() => {
                home.config.models.iter().map(|served| served.ask()).collect()
            }
            asks => asks,
        };
        ensure!(
            !asks.is_empty(),
            usage("nothing is offered: add [[models]] to gpu-node.toml or set --ask")
        );
        let endpoint = self.endpoint.unwrap_or_else(|| home.config.endpoint.clone());
        let region = self.region.unwrap_or_else(|| home.config.region.clone());
        let timeout = std::time::Duration::from_secs(self.timeout);
        let options = TxOptions { timeout, ..TxOptions::default() };
        Ok(Prepared { client, operator, key, asks, endpoint, region, options })
    }
}

async fn provider(
    client: &Client,
    operator: &str,
) -> anyhow::Result<Option<QueryProviderResponse>> {
    let request = QueryProviderRequest { operator: operator.to_owned() };
    Ok(client.find("/plasma.market.v1.Query/Provider", &request).await?)
}

/// The operator is who `start` works for from now on.
fn note_operator(home: &Home, operator: &str) -> anyhow::Result<()> {
    let path = home.path.join(OPERATOR_FILE);
    std::fs::write(&path, format!("{operator}\n")).with_context(|| path.display().to_string())
}

pub(super) async fn register(home: &Home, args: Register) -> anyhow::Result<()> {
    let Register { bond, terms } = args;
    let Prepared { client, operator, key, asks, endpoint, region, options } =
        terms.prepare(home).await?;
    let address = operator.address().text();
    if provider(&client, &address).await?.is_some() {
        bail!("{address} is a provider already: gpu-node update changes what it offers");
    }
    println!("measuring {} ...", home.config.device);
    let hardware = model::measured(&home.config.device)?;
    let msg = MsgRegisterProvider {
        operator: address.clone(),
        receipt_key: key.public().to_vec(),
        receipt_key_proof: key.prove(operator.address()),
        endpoint,
        tls_key_hash: Vec::new(),
        hardware: Some(hardware),
        region,
        bond_uxpl: bond.to_string(),
        asks,
    };
    let outcome = client.send(&operator, vec![any(&msg)], &options).await?;
    note_operator(home, &address)?;
    println!("registered {address} in block {} (transaction {})", outcome.height, outcome.hash);
    println!("next: gpu-node start");
    Ok(())
}

pub(super) async fn update(home: &Home, args: Update) -> anyhow::Result<()> {
    let Update { terms, rotate_receipt_key } = args;
    let Prepared { client, operator, key, asks, endpoint, region, options } =
        terms.prepare(home).await?;
    let address = operator.address().text();
    let Some(before) = provider(&client, &address).await?.and_then(|found| found.provider) else {
        bail!("{address} is no provider: gpu-node register makes it one");
    };
    if before.receipt_key != key.public() && !rotate_receipt_key {
        bail!(
            "the chain knows another receipt key for {address}: add --rotate-receipt-key to set this home's"
        );
    }
    println!("measuring {} ...", home.config.device);
    let hardware = model::measured(&home.config.device)?;
    let rotate = before.receipt_key != key.public();
    let msg = MsgUpdateProvider {
        operator: address.clone(),
        receipt_key: if rotate { key.public().to_vec() } else { Vec::new() },
        receipt_key_proof: if rotate { key.prove(operator.address()) } else { Vec::new() },
        endpoint,
        tls_key_hash: before.tls_key_hash,
        hardware: Some(hardware),
        region,
        asks,
    };
    let outcome = client.send(&operator, vec![any(&msg)], &options).await?;
    note_operator(home, &address)?;
    println!("updated {address} in block {} (transaction {})", outcome.height, outcome.hash);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_units() {
        for (text, uxpl) in [
            ("5", 5),
            ("5uxpl", 5),
            ("5XPL", 5_000_000),
            ("0.5xpl", 500_000),
            ("1.000001XPL", 1_000_001),
        ] {
            assert_eq!(parse_amount(text), Ok(uxpl), "{text}");
        }
        let huge = format!("{}XPL", u128::MAX);
        for text in ["", "XPL", "-1", "1.5", "1.5uxpl", "1.0000001XPL", "1e3", "+1", &huge] {
            assert!(parse_amount(text).is_err(), "{text}");
        }
    }

    #[test]
    fn asks_are_read() {
        let id = hex::encode([7; 32]);
        let ask = parse_ask(&format!("{id}:200000:50000:600000:2")).unwrap();
        assert_eq!(
            (ask.fresh_uxpl_per_mtok, ask.output_uxpl_per_mtok, ask.slots),
            (200_000, 600_000, 2)
        );
        for text in [
            "",
            "1:2:3:4:5",
            &format!("{id}:1:2:3"),
            &format!("{id}:1:2:3:4:5"),
            &format!("{id}:1:2:x:4"),
        ] {
            assert!(parse_ask(text).is_err(), "{text}");
        }
    }
}
