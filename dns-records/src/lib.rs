//! waxseal-dns
