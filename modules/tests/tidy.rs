//! The house rules that a compiler does not check.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A room may use the rooms before it.
const ROOMS: [&str; 7] = ["auth", "token", "feegrant", "staking", "market", "attestation", "authz"];

/// Longest source file, lines.
const LINES_MAX: usize = 700;

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 30, "the sources were not found");
    found
}

/// Code without comments and tests.
fn code(text: &str) -> String {
    let body = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = body.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn imports_run_one_way() {
    for (path, text) in sources() {
        let Some(room) =
            ROOMS.iter().position(|room| path.components().any(|part| part.as_os_str() == *room))
        else {
            continue;
        };
        let code = code(&text);
        for later in &ROOMS[room + 1..] {
            for form in [format!("crate::{later}"), format!("{later}::")] {
                let used = code.match_indices(&form).any(|(at, _)| {
                    // `plasma::market::v1` is a protobuf package, not a room.
                    let before = &code[..at];
                    !before.ends_with("plasma::")
                        && !before.ends_with("_")
                        && !before.ends_with("v1beta1::")
                        && !code[at + form.len()..].starts_with("v1")
                        && !before.chars().next_back().is_some_and(char::is_alphanumeric)
                });
                assert!(!used, "{} uses {later}, a later room", path.display());
            }
        }
    }
}

/// `let y = 2.5; y > 1.0` passes the lints, so literals are looked for here.
#[test]
fn no_float_is_written() {
    for (path, text) in sources() {
        for (number, line) in code(&text).lines().enumerate() {
            let plain: String = strip_strings(line);
            let bytes = plain.as_bytes();
            let float = bytes.windows(3).enumerate().any(|(at, window)| {
                let digits =
                    window[0].is_ascii_digit() && window[1] == b'.' && window[2].is_ascii_digit();
                // `x.0.1` is a field of a field.
                let starts = plain[..=at].rfind(|c: char| !c.is_ascii_digit()).map(|i| bytes[i]);
                digits && starts != Some(b'.')
            });
            assert!(!float, "{}:{} writes a float: {line}", path.display(), number + 1);
        }
    }
}

fn strip_strings(line: &str) -> String {
    line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

#[test]
fn no_file_is_too_long() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines", path.display());
    }
}

/// A code that is given twice within a module would tell clients the wrong story.
#[test]
fn codes_are_unique_within_a_module() {
    for (path, text) in sources() {
        if path.file_name().is_none_or(|name| name != "error.rs")
            || !text.contains("fn code(&self)")
        {
            continue;
        }
        let body = text.rsplit("fn code(&self)").next().unwrap_or_default();
        let codes: Vec<u32> = body
            .lines()
            .take_while(|line| *line != "}")
            .filter_map(|line| line.split("=> ").nth(1)?.trim_end_matches(',').parse().ok())
            .collect();
        let unique: BTreeSet<_> = codes.iter().collect();
        assert!(!codes.is_empty(), "{} gives no code", path.display());
        assert_eq!(unique.len(), codes.len(), "{} gives a code twice", path.display());
        assert!(codes.iter().all(|code| *code >= 2), "{}: codes begin at 2", path.display());
    }
}
