//! attribute: which principal used this interface?
