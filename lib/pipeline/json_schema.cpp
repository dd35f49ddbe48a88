// SPDX-License-Identifier: MIT
// JSON Schema (draft 2020-12) out of the description of the keys, for editors.
#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/pipeline/compress_config.h"

namespace qopt::pipeline {
namespace {

using Json = nlohmann::ordered_json;
using config::Fields;
using config::Key;
using config::Kind;
using config::Scalar;
using config::Type;

/// A bound as a whole number where it is one, so that editors show 1 and not 1.0.
Json bound(double value) {
  if (value == std::nearbyint(value) && std::abs(value) < 1e15) {
    return static_cast<std::int64_t>(value);
  }
  return value;
}

Json scalar_json(const Scalar& value) {
  return std::visit([](const auto& v) { return Json(v); }, value);
}

/// Every scalar may also be text, because ${NAME} stands in for any value.
Json type_json(const Type& type) {
  const Json variable = {{"type", "string"}, {"pattern", "\\$\\{"}};
  Json json;
  switch (type.kind) {
    case Kind::Bool: json["type"] = "boolean"; break;
    case Kind::Integer:
    case Kind::Real:
      if (!type.allowed.empty()) {
        json["enum"] = type.allowed;
        break;
      }
      json["type"] = type.kind == Kind::Integer ? "integer" : "number";
      if (std::isfinite(type.lo)) json["minimum"] = bound(type.lo);
      if (std::isfinite(type.hi)) json["maximum"] = bound(type.hi);
      break;
    case Kind::Choice: json["enum"] = type.choices; break;
    case Kind::Size:
      return {{"anyOf",
               {{{"type", "integer"}, {"minimum", 0}},
                {{"type", "string"},
                 {"pattern", "^[0-9.]+ ?(B|KiB|MiB|GiB|kB|MB|GB)?$|\\$\\{"}}}}};
    case Kind::Text:
    case Kind::Path: return {{"type", "string"}};
  }
  Json any = Json::array({json, variable});
  if (type.kind == Kind::Real) {
    any.push_back({{"type", "string"}, {"pattern", "^[-+0-9.eE]+/[-+0-9.eE]+$"}});
  }
  return {{"anyOf", any}};
}

class SchemaWriter : public Fields {
 public:
  explicit SchemaWriter(Json& object) : object_(object) {
    object_["type"] = "object";
    object_["additionalProperties"] = false;
    object_["properties"] = Json::object();
  }

  void leaf(const Key& key, const Type& type, const std::optional<Scalar>& value,
            const std::function<void(const Scalar&)>&) override {
    Json& json = add(key);
    json.update(type_json(type));
    if (value && !key.required) json["default"] = scalar_json(*value);
  }
  void leaves(const Key& key, const Type& item, config::Count count,
              const std::optional<std::vector<Scalar>>& values,
              const std::function<void(const std::vector<Scalar>&)>&) override {
    Json& json = add(key);
    Json list = {{"type", "array"},
                 {"items", type_json(item)},
                 {"minItems", count.lo},
                 {"maxItems", count.hi}};
    json["anyOf"] = Json::array({list, type_json(item)});
    if (values) {
      json["default"] = Json::array();
      for (const Scalar& value : *values) json["default"].push_back(scalar_json(value));
    }
  }
  void block(const Key& key, bool, const std::function<void(Fields&)>& body) override {
    SchemaWriter inner(add(key));
    body(inner);
  }
  void blocks(const Key& key, std::size_t size,
              const std::function<void(Fields&, std::size_t)>& body) override {
    Json& json = add(key);
    json["type"] = "array";
    json["items"] = Json::object();
    SchemaWriter inner(json["items"]);
    body(inner, size);
  }
  void steps(const Key& key, std::span<const config::StepField> rows) override {
    Json& json = add(key);
    json["type"] = "array";
    Json any = Json::array();
    for (const config::StepField& row : rows) {
      any.push_back({{"const", row.key.name}, {"description", row.key.help}});
      Json map = {
          {"type", "object"}, {"additionalProperties", false}, {"minProperties", 1}};
      map["properties"][std::string(row.key.name)] = {{"description", row.key.help}};
      SchemaWriter inner(map["properties"][std::string(row.key.name)]);
      row.body(inner);
      any.push_back(std::move(map));
    }
    json["items"]["anyOf"] = std::move(any);
  }

 private:
  Json& add(const Key& key) {
    if (key.required) object_["required"].push_back(key.name);
    Json& json = object_["properties"][std::string(key.name)];
    json["description"] = key.help;
    return json;
  }

  Json& object_;
};

}  // namespace

std::string config_json_schema() {
  Json root, whole, difference;
  CompressConfig defaults;
  SchemaWriter writer(whole);
  describe(writer, defaults);
  difference["type"] = "object";
  difference["additionalProperties"] = false;
  difference["required"] = {"extends"};
  Json& keys = difference["properties"];
  keys["version"] = whole.at("properties").at("version");
  keys["extends"] = {{"type", "string"},
                     {"description", "another configuration in the same folder"}};
  keys["set"] = {{"type", "object"}, {"description", "what differs, as a.b.c: VALUE"}};
  root["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  root["title"] = "qopt compress configuration, version 1";
  root["if"]["required"] = {"extends"};
  root["then"] = std::move(difference);
  root["else"] = std::move(whole);
  return root.dump(2) + "\n";
}

}  // namespace qopt::pipeline
