//! The README says what the tool says.

use std::path::Path;
use std::process::Command;

#[test]
fn the_operator_table_is_that_of_the_tool() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, rest) = readme.split_once("<!-- flatpack ops --markdown -->\n").unwrap();
    let (table, _) = rest.split_once("<!-- end -->").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_flatpack")).args(["ops", "--markdown"]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(table.trim() == printed.trim(), "put this into README.md:\n{printed}");
}
