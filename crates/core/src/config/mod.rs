//! Text of host files and modules to typed values that know their file and line. It applies no defaults.
