#pragma once
// A program that brings all its libraries along does not take in what the system has for others.

namespace ledgerline::io {

/// Call it first. A static program then reads no openssl.cnf, whose engines and providers belong to
/// another OpenSSL, and asks /etc/hosts and DNS for names, whatever modules nsswitch.conf lists:
/// they belong to another C library. Does nothing in a program of shared libraries.
void stand_alone();

}  // namespace ledgerline::io
