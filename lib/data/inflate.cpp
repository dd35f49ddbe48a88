// SPDX-License-Identifier: MIT
#include "lib/data/inflate.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <utility>

#include "lib/core/error.h"

namespace qopt::data {

struct Inflater::State {
  z_stream stream{};
  Bytes rest;
  Wrapper wrapper;
  std::string where;
  bool ended = false;
  std::uint64_t taken = 0;
};

Inflater::Inflater(Bytes compressed, Wrapper wrapper, std::string where)
    : state_(std::make_unique<State>()) {
  state_->rest = compressed;
  state_->wrapper = wrapper;
  state_->where = std::move(where);
  // zlib's convention: + 16 expects a gzip header, a negative number expects none.
  const int window = wrapper == Wrapper::Gzip ? 16 + MAX_WBITS : -MAX_WBITS;
  QOPT_CHECK(inflateInit2(&state_->stream, window) == Z_OK, "zlib cannot start");
}

Inflater::~Inflater() { inflateEnd(&state_->stream); }

std::size_t Inflater::read(std::uint8_t* out, std::size_t count) {
  State& s = *state_;
  constexpr std::size_t kPiece = 1U << 30;  // z_stream counts in 32 bits
  std::size_t done = 0;
  while (done < count && !s.ended) {
    const std::size_t in = std::min(s.rest.size(), kPiece);
    const std::size_t room = std::min(count - done, kPiece);
    s.stream.next_in = const_cast<Bytef*>(s.rest.data());
    s.stream.avail_in = static_cast<uInt>(in);
    s.stream.next_out = out + done;
    s.stream.avail_out = static_cast<uInt>(room);
    const int status = inflate(&s.stream, Z_NO_FLUSH);
    s.rest = s.rest.subspan(in - s.stream.avail_in);
    done += room - s.stream.avail_out;
    if (status == Z_STREAM_END) {
      // `cat a.gz b.gz` is a valid gzip file: go on with the next member.
      s.ended = !(s.wrapper == Wrapper::Gzip && is_gzip(s.rest));
      if (!s.ended) QOPT_CHECK(inflateReset(&s.stream) == Z_OK, "zlib cannot restart");
    } else if (status != Z_OK) {
      fail(s.where, status == Z_BUF_ERROR
                        ? fmt::format("compressed data ends after {} bytes of content",
                                      s.taken + done)
                        : fmt::format("damaged compressed data after {} bytes of content",
                                      s.taken + done));
    }
  }
  s.taken += done;
  return done;
}

std::vector<std::uint8_t> Inflater::take(std::uint64_t count) {
  State& s = *state_;
  if (count > (s.rest.size() + 64) * kMaxInflateRatio || count > kMaxFileBytes) {
    fail(s.where, fmt::format("{} bytes of content cannot come from {} compressed bytes",
                              count, s.rest.size()));
  }
  std::vector<std::uint8_t> out(static_cast<std::size_t>(count));
  const std::size_t got = read(out.data(), out.size());
  if (got < out.size()) {
    fail(s.where, fmt::format("content ends after {} bytes, {} more expected", s.taken,
                              out.size() - got));
  }
  return out;
}

void Inflater::expect_end() {
  std::uint8_t extra = 0;
  if (read(&extra, 1) != 0) {
    fail(state_->where, fmt::format("content goes on after the {} bytes it declares",
                                    state_->taken - 1));
  }
}

}  // namespace qopt::data
