//! Reads Plasma's `.proto` files and those of the Cosmos SDK's published Go module, and writes
//! `src/gen`: one Rust file per package, and the descriptor set. No `protoc` is needed.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use prost_build::Config;

#[path = "generate/schema.rs"]
mod schema;

/// Go modules that hold the `.proto` files: module, folders below it to search.
const GO_MODULES: [(&str, &[&str]); 5] = [
    ("github.com/cosmos/cosmos-sdk@v0.53.8", &["proto"]),
    ("github.com/cosmos/gogoproto@v1.7.2", &[""]),
    ("github.com/cosmos/cosmos-proto@v1.0.0-beta.5", &["proto"]),
    ("github.com/cometbft/cometbft@v0.38.26", &["proto"]),
    ("github.com/grpc-ecosystem/grpc-gateway@v1.16.0", &["third_party/googleapis"]),
];

/// Cosmos files that we speak. What they import comes along. The first must stay first: it brings
/// `cosmos/base/abci`, whose relative names resolve only while `cosmos.base.tendermint` is unknown.
const COSMOS: [&str; 36] = [
    "cosmos/tx/v1beta1/service.proto",
    "cosmos/auth/v1beta1/query.proto",
    "cosmos/auth/v1beta1/tx.proto",
    "cosmos/bank/v1beta1/query.proto",
    "cosmos/bank/v1beta1/tx.proto",
    "cosmos/bank/v1beta1/authz.proto",
    "cosmos/base/node/v1beta1/query.proto",
    "cosmos/base/tendermint/v1beta1/query.proto",
    "cosmos/crypto/ed25519/keys.proto",
    "cosmos/crypto/multisig/keys.proto",
    "cosmos/crypto/multisig/v1beta1/multisig.proto",
    "cosmos/crypto/secp256k1/keys.proto",
    "cosmos/consensus/v1/query.proto",
    "cosmos/feegrant/v1beta1/query.proto",
    "cosmos/feegrant/v1beta1/tx.proto",
    "cosmos/authz/v1beta1/query.proto",
    "cosmos/authz/v1beta1/tx.proto",
    "cosmos/authz/v1beta1/event.proto",
    "cosmos/vesting/v1beta1/tx.proto",
    "cosmos/consensus/v1/tx.proto",
    "cosmos/staking/v1beta1/query.proto",
    "cosmos/staking/v1beta1/tx.proto",
    "cosmos/staking/v1beta1/authz.proto",
    "cosmos/distribution/v1beta1/query.proto",
    "cosmos/distribution/v1beta1/tx.proto",
    "cosmos/slashing/v1beta1/query.proto",
    "cosmos/slashing/v1beta1/tx.proto",
    "cosmos/mint/v1beta1/query.proto",
    "cosmos/mint/v1beta1/tx.proto",
    "cosmos/evidence/v1beta1/query.proto",
    "cosmos/gov/v1/query.proto",
    "cosmos/gov/v1/tx.proto",
    "cosmos/gov/v1beta1/query.proto",
    "cosmos/gov/v1beta1/tx.proto",
    "cosmos/upgrade/v1beta1/query.proto",
    "cosmos/upgrade/v1beta1/tx.proto",
];

/// Cosmos files whose messages can be signed in amino JSON beside those above.
const SIGNED: [&str; 11] = [
    "cosmos/authz/v1beta1/tx.proto",
    "cosmos/bank/v1beta1/authz.proto",
    "cosmos/consensus/v1/tx.proto",
    "cosmos/distribution/v1beta1/tx.proto",
    "cosmos/feegrant/v1beta1/feegrant.proto",
    "cosmos/feegrant/v1beta1/tx.proto",
    "cosmos/gov/v1/tx.proto",
    "cosmos/gov/v1beta1/tx.proto",
    "cosmos/slashing/v1beta1/tx.proto",
    "cosmos/staking/v1beta1/tx.proto",
    "cosmos/vesting/v1beta1/tx.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo says at run time which checkout it is run in.
    let root = env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    let root = PathBuf::from(root);
    let mut includes = vec![root.clone()];
    for (module, folders) in GO_MODULES {
        let dir = go_module(module)?;
        includes.extend(folders.iter().map(|folder| dir.join(folder)));
    }

    let mut files: Vec<PathBuf> = COSMOS.iter().map(PathBuf::from).collect();
    files.extend(protos(&root.join("plasma"))?);
    let names: Vec<PathBuf> =
        files.iter().map(|file| file.strip_prefix(&root).unwrap_or(file).to_owned()).collect();

    let mut compiler = protox::Compiler::new(&includes)?;
    compiler.include_imports(true).include_source_info(true).open_files(&names)?;
    let mut set = compiler.file_descriptor_set();
    rename_oneofs(&mut set);

    let mut signed = protox::Compiler::new(&includes)?;
    signed.include_imports(true).open_files(names.iter().chain(&SIGNED.map(PathBuf::from)))?;
    let table = schema::write(&signed.descriptor_pool())?;

    let out = root.join("src/gen");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;

    let mut bare = protox::Compiler::new(&includes)?;
    bare.include_imports(true).include_source_info(false).open_files(&names)?;
    // Encoded by protox: it keeps options (http annotations, signers) that prost-types would drop.
    fs::write(out.join("descriptors.bin"), bare.encode_file_descriptor_set())?;

    fs::write(out.join("schema.rs"), table)?;

    Config::new()
        .out_dir(&out)
        .include_file("mod.rs")
        .btree_map(["."])
        .enable_type_names()
        .type_name_domain(["."], "")
        .disable_comments(["cosmos", "google", "tendermint", "amino", "gogoproto", "cosmos_proto"])
        .compile_fds(set)?;
    for file in fs::read_dir(&out)? {
        let path = file?.path();
        if path.extension().is_some_and(|ext| ext == "rs") {
            let text = fs::read_to_string(&path)?.replace("::std::", "::core::");
            fs::write(&path, text)?;
            Command::new("rustfmt").args(["--edition", "2024"]).arg(&path).status()?;
        }
    }
    println!("wrote {}", out.display());
    Ok(())
}

/// Oneofs that Rust would name as a message beside them: message, oneof, its name in Rust.
const ONEOFS: [(&str, &str, &str); 1] = [("StakeAuthorization", "validators", "policy")];

/// Names are for the Rust types alone: the wire knows no name of a oneof.
fn rename_oneofs(set: &mut prost_types::FileDescriptorSet) {
    for message in set.file.iter_mut().flat_map(|file| &mut file.message_type) {
        for (of, name, rust) in ONEOFS {
            let found = message.oneof_decl.iter_mut().filter(|oneof| oneof.name() == name);
            if message.name.as_deref() == Some(of) {
                found.for_each(|oneof| oneof.name = Some(rust.into()));
            }
        }
    }
}

fn go_module(module: &str) -> Result<PathBuf, Box<dyn Error>> {
    let out = Command::new("go")
        .args(["mod", "download", "-json", module])
        .current_dir(env::temp_dir())
        .output()?;
    let text = String::from_utf8(out.stdout)?;
    let dir = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("\"Dir\": \"")?.strip_suffix("\","))
        .ok_or_else(|| format!("go mod download {module}: {text}"))?;
    Ok(dir.into())
}

fn protos(dir: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(protos(&path)?);
        } else if path.extension().is_some_and(|ext| ext == "proto") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
