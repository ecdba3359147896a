//! Writes the sample account: `cargo run --example gen -- OUT [small]`.
use flowtrail::r#gen::{Format, Options, Scale, generate};
#[allow(clippy::print_stdout, clippy::unwrap_used)]
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let small = args.contains(&"small".to_owned());
    let mut o = Options::default();
    if small {
        o = Options {
            days: 10,
            scale: Scale::Small,
            ..o
        };
    }
    if args.contains(&"v5".to_owned()) {
        o.format = Format::V5;
    }
    let m = generate(&o, std::path::Path::new(&args[1])).unwrap();
    println!("{m:#?}");
}
