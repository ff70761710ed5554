//! Buying an inference: which model, at what price, and is there the money for it.

use std::io::Read as _;
use std::time::Duration;

use clap::Args;
use gpu_node::client::{Client, any};
use plasma_modules::types::hex;
use plasma_modules::{Address, Amount, market};
use plasma_proto::plasma::market::v1::{
    Model, MsgSubmitJob, MsgSubmitJobResponse, Offer, Params, Sampling,
};
use rand_core::{OsRng, RngCore as _};
use serde_json::json;

use crate::App;
use crate::amount::{self, thousands, xpl};
use crate::error::{Failure, Result};
use crate::query;
use crate::tx::{self, TxArgs};
use crate::watch::{self, Until};

/// Longest input that is read before the chain is asked for its limit, bytes.
const INPUT_BYTES_MAX: u64 = 1 << 20;
/// Models whose offers are compared when none is named.
const MODELS_COMPARED_MAX: usize = 50;

/// What to ask for.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// What to say to the model; - reads it from standard input
    prompt: String,
    /// Id, the begin of one, or name; the cheapest that somebody serves if left out
    #[arg(long, short)]
    model: Option<String>,
    /// Most tokens to write
    #[arg(long, short = 'n', default_value_t = 256, value_name = "N")]
    max_tokens: u32,
    /// 0 takes the likeliest token each time; 1 draws as the model says
    #[arg(long, short, value_parser = amount::milli, default_value = "0", value_name = "T")]
    temperature: u32,
    /// Draw among the likeliest tokens that make up this much
    #[arg(long, value_parser = amount::milli, default_value = "1", value_name = "P")]
    top_p: u32,
    /// Seed of the draws; a random one if left out
    #[arg(long)]
    seed: Option<u64>,
    /// Most that it may cost, for example 0.1xpl; the best offer's quote if left out. The rest comes back
    #[arg(long, value_parser = amount::parse, value_name = "AMOUNT")]
    max_fee: Option<Amount>,
    /// Text that ends the answer; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Refunded if no provider has taken it by then
    #[arg(long, value_parser = amount::duration, default_value = "10m", value_name = "TIME")]
    deadline: Duration,
    /// Account that brought you here; gets a share of the charge
    #[arg(long, value_name = "ADDRESS")]
    referral: Option<String>,
    /// Wait for the answer and print it
    #[arg(long, short)]
    wait: bool,
    /// With --wait: wait until the answer is there, or until it is paid
    #[arg(long, value_enum, default_value_t = Until::Delivered, requires = "wait")]
    until: Until,
    /// With --wait: give up after this long; the job goes on
    #[arg(long, value_parser = amount::duration, value_name = "TIME", requires = "wait")]
    timeout: Option<Duration>,
    #[command(flatten)]
    tx: TxArgs,
}

/// A model and what a job for it costs at most with the best offer.
struct Choice {
    model: Model,
    /// Cheapest quote among the offers with a free slot, or of all if none is free.
    quote: Option<Amount>,
    free: bool,
}

/// The best quote for a job: of the offers with a free slot, else of all; and whether a slot is free.
fn best_quote(
    params: &Params,
    model: &Model,
    offers: &[Offer],
    input_bytes: usize,
    max_tokens: u32,
) -> (Option<Amount>, bool) {
    let terms = market::terms(params, model, input_bytes);
    let quotes = |free_only: bool| {
        let fits = move |offer: &&Offer| {
            let slots = offer.ask.as_ref().map_or(0, |ask| ask.slots);
            !free_only || offer.busy < slots
        };
        let asks = offers.iter().filter(fits).filter_map(|offer| offer.ask.as_ref());
        asks.map(|ask| market::quote(&terms, ask, max_tokens)).min()
    };
    match quotes(true) {
        Some(quote) => (Some(quote), true),
        None => (quotes(false), false),
    }
}

/// The named model, or the cheapest that somebody serves.
async fn choose(
    app: &App,
    client: &Client,
    params: &Params,
    args: &SubmitArgs,
    input_bytes: usize,
) -> Result<Choice> {
    let spinner = app.out.spinner("comparing offers");
    let models = query::models(client).await?;
    let named = args.model.as_deref().map(|text| query::find_model(&models, text)).transpose()?;
    let candidates: Vec<&Model> = match named {
        Some(model) => vec![model],
        None => models.iter().take(MODELS_COMPARED_MAX).collect(),
    };
    let mut served = 0;
    let mut best: Option<Choice> = None;
    for model in candidates {
        let offers = query::offers(client, &model.model_id).await?;
        let (quote, free) = best_quote(params, model, &offers, input_bytes, args.max_tokens);
        served += u32::from(quote.is_some());
        let price = |choice: &Choice| (choice.quote.is_none(), !choice.free, choice.quote);
        let choice = Choice { model: model.clone(), quote, free };
        if best.as_ref().is_none_or(|best| price(&choice) < price(best)) {
            best = Some(choice);
        }
    }
    let best = best.filter(|choice| named.is_some() || choice.quote.is_some());
    let choice = best.ok_or_else(|| {
        Failure::refused("market", 3, "nobody serves any model on this chain yet")
            .hint("see  xpl model list  and  xpl provider list")
    })?;
    drop(spinner);
    if served > 1 {
        app.out
            .note(&format!("{served} models are served; this is the cheapest (choose by --model)"));
    }
    Ok(choice)
}

fn read_prompt(prompt: &str) -> Result<String> {
    if prompt != "-" {
        return Ok(prompt.to_owned());
    }
    let mut text = String::new();
    std::io::stdin()
        .take(INPUT_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("standard input: {error}")))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// What the chain would refuse, before it costs a fee.
fn check(params: &Params, args: &SubmitArgs, input: &str) -> Result<()> {
    let refused = |code, message: String| Err(Failure::refused("market", code, message));
    let bytes = u32::try_from(input.len()).unwrap_or(u32::MAX);
    if bytes == 0 {
        return Err(Failure::usage("the prompt is empty"));
    }
    if bytes > params.input_bytes_max {
        let message = format!(
            "the prompt has {} bytes, the chain takes at most {}",
            thousands(bytes.into()),
            thousands(params.input_bytes_max.into())
        );
        return refused(18, message);
    }
    if args.max_tokens == 0 || args.max_tokens > params.max_tokens_max {
        return refused(
            19,
            format!("--max-tokens is 1 to {}", thousands(params.max_tokens_max.into())),
        );
    }
    if args.temperature > market::TEMPERATURE_MILLI_MAX {
        return refused(
            20,
            format!("--temperature is 0 to {}", market::TEMPERATURE_MILLI_MAX / 1000),
        );
    }
    if !(1..=1000).contains(&args.top_p) {
        return refused(20, "--top-p is 0.001 to 1".to_owned());
    }
    let stops = u32::try_from(args.stop.len()).unwrap_or(u32::MAX);
    let long = args.stop.iter().any(|stop| {
        stop.is_empty() || u32::try_from(stop.len()).unwrap_or(u32::MAX) > params.stop_bytes_max
    });
    if stops > params.stops_max || long {
        return refused(
            21,
            format!(
                "at most {} --stop texts of 1 to {} bytes",
                params.stops_max, params.stop_bytes_max
            ),
        );
    }
    if args.deadline.is_zero() || args.deadline.as_secs() > params.deadline_max_s {
        return refused(
            23,
            format!("--deadline is at most {}", amount::span(params.deadline_max_s)),
        );
    }
    Ok(())
}

/// Runs `xpl job submit`.
///
/// # Errors
/// If the chain refuses or would, there is too little money, or the job fails while waited for.
pub async fn run(app: &App, args: SubmitArgs) -> Result<()> {
    let input = read_prompt(&args.prompt)?;
    let requester = app.own_address()?;
    let referral = args.referral.as_deref().map(|text| app.address(text)).transpose()?;
    if referral == Some(requester) {
        return Err(Failure::refused(
            "market",
            24,
            "the referral must be another account than your own",
        ));
    }
    let client = app.client().await?;
    let params = query::params(&client).await?;
    check(&params, &args, &input)?;
    let choice = choose(app, &client, &params, &args, input.len()).await?;
    let max_fee = max_fee(app, &args, &choice)?;

    let seed =
        args.seed.unwrap_or_else(|| if args.temperature == 0 { 0 } else { OsRng.next_u64() });
    // By the chain's clock: deadlines are measured against the time of blocks.
    let now_s = client.status().await?.time_s;
    let msg = MsgSubmitJob {
        requester: requester.text(),
        model_id: choice.model.model_id.clone(),
        input,
        max_tokens: args.max_tokens,
        sampling: Some(Sampling {
            temperature_milli: args.temperature,
            top_p_milli: args.top_p,
            seed,
        }),
        max_fee_uxpl: max_fee.text(),
        deadline_unix_s: now_s.saturating_add(args.deadline.as_secs()),
        stop: args.stop.clone(),
        referral: referral.as_ref().map(Address::text).unwrap_or_default(),
    };
    let msg = any(&msg);
    tx::check_funds(&client, requester, "the job needs", max_fee, &msg, &args.tx).await?;
    let outcome = tx::send(app, &client, msg, &args.tx).await?;
    let told = outcome.attribute("job_submitted", "job_id").and_then(|text| text.parse().ok());
    let job_id = match told {
        Some(job_id) => job_id,
        None => outcome.response::<MsgSubmitJobResponse>(0)?.job_id,
    };
    if args.wait {
        app.out.note(&format!(
            "job {job_id} is open: transaction {} in block {}",
            outcome.hash, outcome.height
        ));
        return watch::run(app, &client, job_id, args.until, args.timeout).await;
    }
    let mut json = tx::outcome_json(&outcome);
    json["job_id"] = json!(job_id);
    json["max_fee_uxpl"] = max_fee.text().into();
    if app.out.is_quiet() {
        app.out.print(&job_id.to_string(), &json);
        return Ok(());
    }
    app.out.done(
        &format!(
            "job {job_id} is open\n  transaction {} in block {}\n  for the answer:  xpl job watch {job_id}",
            outcome.hash, outcome.height
        ),
        &json,
    );
    Ok(())
}

/// What is escrowed: as asked for, or the best quote.
fn max_fee(app: &App, args: &SubmitArgs, choice: &Choice) -> Result<Amount> {
    let name = query::model_name(&choice.model);
    let id: String = hex(&choice.model.model_id).chars().take(12).collect();
    match (args.max_fee, choice.quote) {
        (Some(asked), Some(quote)) if asked < quote => {
            app.out.warn(&format!(
                "no offer fits {} now (the best asks for up to {}): the job waits until one does, or is refunded",
                xpl(asked),
                xpl(quote)
            ));
        }
        (None, None) => {
            return Err(Failure::usage(format!(
                "nobody serves {name} now, so there is no price to go by"
            ))
            .hint(
                "say what it may cost by --max-fee, and it waits for a provider until its deadline",
            ));
        }
        (_, None) => app.out.warn(&format!(
            "nobody serves {name} now: the job waits until somebody does, or is refunded"
        )),
        (_, Some(_)) if !choice.free => {
            app.out.warn("every provider of this model is busy now: the job waits for a free slot");
        }
        _ => {}
    }
    let max_fee = args.max_fee.or(choice.quote).unwrap_or_default();
    let from = if args.max_fee.is_none() {
        "the best offer's quote; what is not used comes back"
    } else {
        "as given"
    };
    app.out.note(&format!("model    {name} ({id})\nmax fee  {} ({from})", xpl(max_fee)));
    Ok(max_fee)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plasma_proto::plasma::market::v1::Ask;

    fn offer(price: u64, slots: u32, busy: u32) -> Offer {
        let ask = Ask {
            fresh_uxpl_per_mtok: price,
            output_uxpl_per_mtok: price,
            slots,
            ..Ask::default()
        };
        Offer { operator: String::new(), ask: Some(ask), busy }
    }

    #[test]
    fn the_best_quote_is_the_cheapest_free_one() {
        let params = Params { min_charge_uxpl: 1, duty_fee_max_uxpl: 10, ..Params::default() };
        let model = Model::default();
        let offers = [offer(1_000_000, 1, 1), offer(3_000_000, 2, 1), offer(2_000_000, 1, 0)];
        let quote = |offers: &[Offer]| best_quote(&params, &model, offers, 100, 50);
        assert_eq!(quote(&offers), (Some(Amount::new(2 * 150 + 10)), true));
        assert_eq!(
            quote(&offers[..1]),
            (Some(Amount::new(150 + 10)), false),
            "busy, but the only one"
        );
        assert_eq!(quote(&[]), (None, false));
    }
}
