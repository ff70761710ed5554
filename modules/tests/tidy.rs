//! The house rules that a compiler does not check.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A room may use the rooms before it.
const ROOMS: [&str; 10] = [
    "auth",
    "token",
    "feegrant",
    "staking",
    "market",
    "price",
    "reward",
    "attestation",
    "authz",
    "governance",
];

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
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (path, text) in sources() {
        // A checkout may lie in a folder that is named like a room.
        let inside = path.strip_prefix(&src).unwrap();
        let Some(room) =
            ROOMS.iter().position(|room| inside.components().any(|part| part.as_os_str() == *room))
        else {
            continue;
        };
        let code = code(&text);
        for later in &ROOMS[room + 1..] {
            // A file of this room may bear a later room's name.
            let own = path.with_file_name(format!("{later}.rs")).exists();
            let forms = [Some(format!("crate::{later}")), (!own).then(|| format!("{later}::"))];
            for form in forms.into_iter().flatten() {
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

/// The page that says what keeps which promise.
const RELIABILITY: &str = include_str!("../../docs/reliability.md");

/// `a/{b,c}.rs` is two files.
fn expanded(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.into()] };
    let (choices, after) = rest.split_once('}').unwrap_or_else(|| panic!("{path} has no end"));
    choices.split(',').map(|choice| format!("{before}{choice}{after}")).collect()
}

/// Whether a file has a test of that name, in which `*` stands for anything.
fn has_test(text: &str, name: &str) -> bool {
    let (begin, end) = name.split_once('*').unwrap_or((name, ""));
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut tests = lines.iter().enumerate().filter_map(|(at, line)| {
        let rest = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
        let found = rest.split_once('(')?.0;
        let mut above = lines[..at].iter().rev().take_while(|line| line.starts_with(['#', '/']));
        above.any(|line| line.contains("test]") || line.contains("::test(")).then_some(found)
    });
    let fits = |found: &str| match name.contains('*') {
        true => found.starts_with(begin) && found.ends_with(end),
        false => found == name,
    };
    tests.any(fits)
}

#[test]
fn every_promise_names_what_keeps_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let code: String = sources().into_iter().map(|(_, text)| text).collect();
    let (mut promises, mut tests) = (0, 0);
    for row in RELIABILITY.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [promise, kept_by] = cells[..] else { panic!("not two cells: {row}") };
        if promise.trim() == "promise" {
            continue;
        }
        promises += 1;
        let mut files: Vec<(String, String)> = Vec::new();
        let mut named = 0;
        for span in kept_by.split('`').skip(1).step_by(2) {
            let (path, name) = match span.split_once(": ") {
                Some((path, name)) => (Some(path), Some(name)),
                None if span.contains('/') => (Some(span), None),
                None => (None, Some(span)),
            };
            if let Some(path) = path {
                let read = |path: String| {
                    let text = fs::read_to_string(root.join(&path));
                    (text.unwrap_or_else(|error| panic!("{path}: {error}: {row}")), path)
                };
                files = expanded(path).into_iter().map(read).collect();
                named += 1;
            }
            let Some(name) = name else { continue };
            if let Some((_, function)) = name.rsplit_once("::") {
                assert!(code.contains(&format!("fn {function}(")), "no {name}: {row}");
                named += 1;
            } else if name.contains('_')
                && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'*'))
            {
                assert!(!files.is_empty(), "{name} is in no file: {row}");
                for (text, path) in &files {
                    assert!(has_test(text, name), "{path} has no test {name}: {row}");
                    tests += 1;
                }
            }
        }
        assert!(named > 0, "nothing keeps it: {row}");
    }
    assert!(promises > 60 && tests > 80, "the page was not read: {promises} {tests}");
}
