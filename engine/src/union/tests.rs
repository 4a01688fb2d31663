//! The union against the same rows held together, for random splits between
//! lake, segments, straddling segments and memory.
