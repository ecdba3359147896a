//! The program: reads the command line, runs one subcommand, exits.

fn main() {}
