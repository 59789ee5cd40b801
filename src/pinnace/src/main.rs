#[cfg(test)]
mod config;

fn main() {}
