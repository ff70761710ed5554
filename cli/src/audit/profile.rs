//! By what a model's claims are judged.

use std::path::Path;

use gpu_node::client::{Client, any};
use plasma_modules::attestation::audit::{Error, bounds, fields, outside, profile_hash};
use plasma_modules::types::{hash32, hex};
use plasma_proto::plasma::attestation::v1::{
    AuditParams, ModelProfile, MsgSetProfile, Profile, ProfileProposal, QueryProfileResponse,
};
use plasma_proto::plasma::market::v1::Model;
use plasma_proto::plasma::proof::v1::query_proof_request::Object;
use serde_json::{Value, json};

use super::{params, profile, read_file, refused};
use crate::App;
use crate::amount::thousands;
use crate::error::{Failure, Result};
use crate::light::ProveArgs;
use crate::output::{Table, Tone, proto_from_json, proto_json};
use crate::prove::Prover;
use crate::query::{find_model, model_name, models};
use crate::tx::{self, TxArgs};

/// Reads a profile as `gpu-node calibrate` writes it.
///
/// # Errors
/// If the file is no profile, or leaves numbers out that would condemn everybody as 0.
pub fn read_profile(path: &Path) -> Result<Profile> {
    let json: Value = serde_json::from_slice(&read_file(path)?).map_err(|error| {
        Failure::usage(format!("{} is no JSON document: {error}", path.display()))
    })?;
    let profile: Profile = proto_from_json(&json)?;
    if [profile.projection_ppm_max, profile.margin_ppm_max, profile.tokens_per_outlier].contains(&0)
    {
        let message = format!("{} lacks thresholds", path.display());
        return Err(Failure::usage(message).hint("make one by  gpu-node calibrate"));
    }
    Ok(profile)
}

/// A model that is named, and its profile.
///
/// # Errors
/// If there is no such model, it has no profile, or no node answers.
pub async fn of_model(client: &Client, text: &str) -> Result<(Model, QueryProfileResponse)> {
    let models = models(client).await?;
    let model = find_model(&models, text)?.clone();
    let found = profile(client, &model.model_id).await?.ok_or_else(|| {
        let message = format!("{} has no profile: nothing of it is audited", model_name(&model));
        refused(&Error::WrongProfile, message).hint(
            "its publisher sets one:  gpu-node calibrate , then  xpl audit set-profile MODEL profile.json",
        )
    })?;
    Ok((model, found))
}

/// Shows a model's profile. Which id a name stands for, and how many make a model verified, is the node's word.
///
/// # Errors
/// As [`of_model`]; with a proof that does not hold exit code 5.
pub async fn show(app: &App, text: &str, prove: &ProveArgs) -> Result<()> {
    let client = app.client().await?;
    let (model, mut found) = of_model(&client, text).await?;
    let params = params(&client).await?;
    let mut verified = None;
    if prove.prove {
        let prover = Prover::open(app, &client, prove).await?;
        let stands = prover.get(&Object::Profile(hex(&model.model_id))).await?;
        let stands: ModelProfile = stands.ok_or_else(|| {
            let message = format!("proven: {} has no profile", model_name(&model));
            refused(&Error::WrongProfile, message)
        })?;
        found.is_verified = stands.members >= params.pool_min;
        found.profile = Some(stands);
        verified = Some(prover.verified);
    }
    let mut json = proto_json(&found)?;
    json["pool_min"] = params.pool_min.into();
    if let Some(verified) = &verified {
        json["proof"] = verified.json();
    }
    if app.out.is_json() {
        app.out.json(&json);
        return Ok(());
    }
    let ModelProfile { profile, profile_hash, set_height, members, model_id, proposal, .. } =
        found.profile.clone().unwrap_or_default();
    let mut table = Table::fields();
    table.field_toned(
        "model",
        format!("{} ({})", model_name(&model), hex(&model_id)),
        Tone::Strong,
    );
    let (word, tone) = match found.is_verified {
        true => ("verified: its claims are audited", Tone::Good),
        false => ("not verified: its claims are not audited", Tone::Warn),
    };
    table.field_toned("state", word, tone);
    table.field("pool", format!("{members} operators; {} make it verified", params.pool_min));
    table.field("profile", hex(&profile_hash));
    table.field("set", format!("block {}", thousands(set_height.into())));
    if let Some(verified) = &verified {
        table.field_toned("proven", verified.line(), Tone::Good);
    }
    app.out.table(&table, "", &());
    app.out.print("", &());
    app.out.table(&numbers(&profile.unwrap_or_default(), &params), "", &());
    let Some(proposal) = proposal else { return Ok(()) };
    let ProfileProposal { profile, profile_hash, proposed_height, members } = proposal;
    let mut table = Table::fields();
    table.field_toned("proposed", hex(&profile_hash), Tone::Warn);
    table.field("since", format!("block {}", thousands(proposed_height.into())));
    table.field(
        "pool",
        format!(
            "{members} operators; it stands when {} stay in its pool, with as large a part of the other's as a verdict needs of a jury",
            params.pool_min
        ),
    );
    app.out.print("", &());
    app.out.table(&table, "", &());
    app.out.print("", &());
    app.out.table(&numbers(&profile.unwrap_or_default(), &params), "", &());
    Ok(())
}

/// Each number of a profile, and what it may be.
fn numbers(profile: &Profile, params: &AuditParams) -> Table {
    let (floor, ceiling) = bounds(params);
    let mut table = Table::new(["THRESHOLD", "IS", "AT LEAST", "AT MOST"]);
    for ((name, value), ((_, least), (_, most))) in
        fields(profile).into_iter().zip(fields(&floor).into_iter().zip(fields(&ceiling)))
    {
        let count = |number: u32| thousands(number.into());
        table.row([name.to_owned(), count(value), count(least), count(most)]);
    }
    table
}

/// What the chain would refuse a profile for.
fn settable(
    model: &Model,
    publisher: &str,
    profile: &Profile,
    stands: Option<&ModelProfile>,
    params: &AuditParams,
) -> Result<()> {
    let id = hex(&model.model_id);
    if model.publisher != publisher {
        let message = format!("the model {id} was published by {}", model.publisher);
        return Err(
            refused(&Error::NotPublisher, message).hint("use the key that published it, by --from")
        );
    }
    let (floor, ceiling) = bounds(params);
    if let Some((name, value, least, most)) = outside(profile, &floor, &ceiling) {
        let rule = Error::ProfileOutOfBounds { name, value, least, most };
        return Err(refused(&rule, rule.to_string()).hint(
            "measure it by  gpu-node calibrate ; a model whose honest kernels are further apart cannot be audited",
        ));
    }
    let hash = hash32(&model.model_id).map(|id| profile_hash(&id, profile));
    let (Some(hash), Some(stands)) = (hash, stands) else { return Ok(()) };
    let what = match &stands.proposal {
        None if stands.profile_hash == hash => "has this profile already",
        Some(proposal) if proposal.profile_hash == hash => "is proposed this profile already",
        _ => return Ok(()),
    };
    Err(refused(&Error::SameProfile, format!("the model {id} {what}"))
        .hint(format!("see it:  xpl audit profile {}", &id[..12])))
}

/// Sets a model's profile, as its publisher, or proposes it once the model was verified.
///
/// # Errors
/// If the chain refuses or would.
pub async fn set(app: &App, text: &str, path: &Path, args: &TxArgs) -> Result<()> {
    let profile = read_profile(path)?;
    let (publisher, client) = (app.own_address()?, app.client().await?);
    let models = models(&client).await?;
    let model = find_model(&models, text)?;
    let stands = super::profile(&client, &model.model_id).await?.and_then(|found| found.profile);
    let params = params(&client).await?;
    settable(model, &publisher.text(), &profile, stands.as_ref(), &params)?;
    match stands {
        Some(ModelProfile { proposal: Some(_), .. }) => {
            app.out.warn("another profile is proposed already: it is forgotten, and who joined its pool must join anew");
            app.confirm("Forget it?")?;
        }
        Some(ModelProfile { was_verified: false, members: members @ 1.., .. }) => {
            app.out.warn(&format!(
                "{members} operators stand behind the profile that the model has: the new one begins with a pool of its own"
            ));
            app.confirm("Set it all the same?")?;
        }
        _ => {}
    }
    let msg = any(&MsgSetProfile {
        publisher: publisher.text(),
        model_id: model.model_id.clone(),
        profile: Some(profile),
    });
    let outcome = tx::send(app, &client, msg, args).await?;
    let mut json = tx::outcome_json(&outcome);
    json["model_id"] = hex(&model.model_id).into();
    let (set, proposed) = (
        outcome.attribute("profile_set", "profile_hash"),
        outcome.attribute("profile_proposed", "profile_hash"),
    );
    json["profile_hash"] =
        json!(hash32(&model.model_id).map(|id| hex(&profile_hash(&id, &profile))));
    json["stands"] = json!(proposed.is_none());
    let id = hex(&model.model_id);
    let (name, min) = (model_name(model), params.pool_min);
    let (what, next) = match (set, proposed) {
        (_, Some(hash)) => (
            format!(
                "another profile of {name} is proposed; the old one stands until {min} operators are in its pool, with as large a part of the other's as a verdict needs of a jury"
            ),
            format!(
                "\n  whoever can judge by it says so:  gpu-node jury join {id} --proposal {hash}"
            ),
        ),
        (Some(_), None) => (
            format!("the profile of {name} is set"),
            format!("\n  whoever can judge it joins its pool:  gpu-node jury join {id}"),
        ),
        (None, None) => (
            format!("{name} keeps the profile that it has: the proposal is withdrawn"),
            String::new(),
        ),
    };
    let text = format!("{what}\n  transaction {} in block {}{next}", outcome.hash, outcome.height);
    app.out.done(&text, &json);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.json");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_profile(&path)
        };
        let text = r#"{ "exponent_mismatches_max": 14, "mantissa_mean_centi_max": 250, "mantissa_median_max": 2,
            "projection_ppm_max": 30000, "margin_ppm_max": 20000, "tokens_per_outlier": 256 }"#;
        assert_eq!(read(text).unwrap().tokens_per_outlier, 256);
        for wrong in ["{", "{}", r#"{ "projection_ppm_max": 1 }"#, r#"{ "unknown": 1 }"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read_profile(&folder.path().join("none")).is_err());
    }

    #[test]
    fn what_the_chain_would_refuse_costs_nothing() {
        let profile = |projection_ppm_max| Profile { projection_ppm_max, ..Profile::default() };
        let params = AuditParams {
            profile_floor: Some(profile(10)),
            profile_ceiling: Some(profile(20)),
            ..AuditParams::default()
        };
        let model =
            Model { model_id: vec![7; 32], publisher: "xpl1abc".into(), ..Model::default() };
        let stands = ModelProfile {
            profile_hash: profile_hash(&[7; 32], &profile(15)).into(),
            ..ModelProfile::default()
        };
        let code = |by: &str, projection| {
            settable(&model, by, &profile(projection), Some(&stands), &params)
                .err()
                .map(|failure| failure.code)
        };
        assert_eq!(code("xpl1abc", 14), None);
        assert_eq!(code("xpl1other", 14), Some(4));
        assert_eq!([9, 21].map(|beyond| code("xpl1abc", beyond)), [Some(5); 2]);
        assert_eq!(code("xpl1abc", 15), Some(6));
        let proposal = Some(ProfileProposal {
            profile_hash: profile_hash(&[7; 32], &profile(16)).into(),
            ..ProfileProposal::default()
        });
        let pending = ModelProfile { proposal, ..stands.clone() };
        let refused = |projection| {
            settable(&model, "xpl1abc", &profile(projection), Some(&pending), &params).is_err()
        };
        assert_eq!(
            [14, 15, 16].map(refused),
            [false, false, true],
            "what stands withdraws the other"
        );
        let table = numbers(&profile(15), &params).render(false);
        let row = table.lines().find(|line| line.starts_with("projection_ppm_max")).unwrap();
        let row: Vec<_> = row.split_whitespace().collect();
        assert_eq!(row, ["projection_ppm_max", "15", "10", "20"]);
    }
}
