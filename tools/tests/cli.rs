//! The command line as a user sees it.

#[test]
fn commands_print_what_is_recorded() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd");
}
