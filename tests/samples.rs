//! The checked-in samples are what the program writes today, and say what their pages say.
//!
//! Compressed files are compared unpacked: their packed bytes depend on the version of the compression library.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flowtrail::r#gen::{Options, Scale, generate};

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")
}

/// All files below a folder, unpacked.
fn unpacked(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for path in std::fs::read_dir(&next)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path())
        {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).map(PathBuf::from).unwrap_or_default();
                found.insert(name, content(&path));
            }
        }
    }
    found
}

fn content(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let mut out = Vec::new();
    match path.extension().is_some_and(|e| e == "gz") {
        true => flate2::read::MultiGzDecoder::new(bytes.as_slice())
            .read_to_end(&mut out)
            .map_or(vec![], |_| out),
        false => bytes,
    }
}

#[test]
fn the_account_is_what_the_program_writes() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        days: 10,
        scale: Scale::Small,
        ..Options::default()
    };
    generate(&options, folder.path()).unwrap();
    let (stored, fresh) = (unpacked(&samples().join("account")), unpacked(folder.path()));
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&stored), names(&fresh));
    for (name, bytes) in &fresh {
        assert!(
            stored[name] == *bytes,
            "{} differs: run the command of samples/README.md again",
            name.display()
        );
    }
    let page = std::fs::read_to_string(samples().join("README.md")).unwrap();
    assert!(page.contains(&format!("flowtrail {}\n", options.command("samples/account"))));
}

#[test]
fn the_samples_are_small() {
    let mut total = 0;
    let mut folders = vec![samples()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().flatten() {
            match entry.path().is_dir() {
                true => folders.push(entry.path()),
                false => total += entry.metadata().unwrap().len(),
            }
        }
    }
    assert!(total < 5_000_000, "{total} bytes");
}

/// The three files of `first/` tell one story: the same bytes in both formats, and what was read is in the trail.
#[test]
fn the_first_steps_agree() {
    let read = |name: &str| std::fs::read_to_string(samples().join("first").join(name)).unwrap();
    let (v2, v5, trail) = (read("default-v2.log"), read("custom-v5.log"), read("cloudtrail.json"));
    let shared = |text: &str| -> Vec<String> {
        text.lines()
            .map(|l| l.split(' ').skip(1).take(13).collect::<Vec<_>>().join(" "))
            .collect()
    };
    assert_eq!(shared(&v2), shared(&v5));
    assert!(v5.lines().all(|l| l.split(' ').count() == 29));
    let rows: Vec<Vec<&str>> = v2.lines().map(|l| l.split(' ').collect()).collect();
    let sum = |column: usize, ip: &str| -> u64 {
        rows.iter()
            .filter(|f| f[column] == ip)
            .map(|f| f[9].parse::<u64>().unwrap())
            .sum()
    };
    let page = read("README.md").replace(',', "");
    for ip in ["93.175.146.77", "52.216.8.10"] {
        assert!(page.contains(&sum(4, ip).to_string()), "{ip}");
    }
    let records: serde_json::Value = serde_json::from_str(&trail).unwrap();
    let moved = |r: &serde_json::Value| r["additionalEventData"]["bytesTransferredOut"].as_u64().unwrap_or(0);
    let payload: u64 = records["Records"].as_array().unwrap().iter().map(moved).sum();
    let wire = sum(3, "52.216.8.10");
    assert!(payload * 102 / 100 <= wire && wire <= payload * 110 / 100);
}
