#include "detector.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <stdexcept>

#include <sys/stat.h>

namespace {

using nlohmann::json;

constexpr float kOverlap = 0.45F;
constexpr std::size_t kMost = 100;

struct Candidate {
  std::array<float, 4> box;  // relative to the image
  float score;
  std::size_t label;
};

float sigmoid(float value) { return 1 / (1 + std::exp(-value)); }

// Boxes [n, 4 + N] -> candidates above the threshold, class by class.
std::vector<Candidate> of_boxes(const float* rows, std::size_t count, std::size_t columns, float threshold) {
  std::vector<Candidate> found;
  for (std::size_t label = 0; label + 4 < columns; ++label)
    for (std::size_t row = 0; row < count; ++row) {
      const float* one = rows + row * columns;
      if (one[4 + label] > threshold) found.push_back({{one[0], one[1], one[2], one[3]}, one[4 + label], label});
    }
  return found;
}

// FastestDet's map [5 + N, h, w] -> boxes [h w, 4 + N]; a single class has no channel.
std::vector<float> decode_cells(const float* map, std::size_t channels, std::size_t height, std::size_t width) {
  const std::size_t cells = height * width, classes = std::max<std::size_t>(channels - 5, 1);
  std::vector<float> rows(cells * (4 + classes));
  for (std::size_t cell = 0; cell < cells; ++cell) {
    const auto channel = [&](std::size_t index) { return map[index * cells + cell]; };
    const float x = (std::tanh(channel(1)) + static_cast<float>(cell % width)) / static_cast<float>(width);
    const float y = (std::tanh(channel(2)) + static_cast<float>(cell / width)) / static_cast<float>(height);
    const float half_w = sigmoid(channel(3)) / 2, half_h = sigmoid(channel(4)) / 2;
    float* row = rows.data() + cell * (4 + classes);
    row[0] = x - half_w, row[1] = y - half_h, row[2] = x + half_w, row[3] = y + half_h;
    const float object = std::pow(std::max(channel(0), 0.0F), 0.6F);
    for (std::size_t label = 0; label < classes; ++label)
      row[4 + label] = channels > 5 ? object * std::pow(channel(5 + label), 0.4F) : object;
  }
  return rows;
}

float area(const std::array<float, 4>& box) { return (box[2] - box[0]) * (box[3] - box[1]); }

bool overlaps(const Candidate& one, const Candidate& other) {
  const float wide = std::min(one.box[2], other.box[2]) - std::max(one.box[0], other.box[0]);
  const float high = std::min(one.box[3], other.box[3]) - std::max(one.box[1], other.box[1]);
  const float shared = std::max(wide, 0.0F) * std::max(high, 0.0F);
  return shared > kOverlap * (area(one.box) + area(other.box) - shared);
}

// Non-maximum suppression per class, the best first.
std::vector<Candidate> suppress(std::vector<Candidate> found) {
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
  std::vector<Candidate> kept;
  for (const auto& one : found) {
    const auto hides = [&](const Candidate& better) { return better.label == one.label && overlaps(better, one); };
    if (kept.size() < kMost && std::none_of(kept.begin(), kept.end(), hides)) kept.push_back(one);
  }
  return kept;
}

// Logits [N] -> the best class, and others from the threshold on.
std::vector<Detection> classify(const float* logits, const std::vector<std::string>& classes, float threshold) {
  std::vector<float> shares(classes.size());
  const float most = *std::max_element(logits, logits + shares.size());
  std::transform(logits, logits + shares.size(), shares.begin(), [&](float one) { return std::exp(one - most); });
  const float sum = std::accumulate(shares.begin(), shares.end(), 0.0F);
  std::vector<std::size_t> order(shares.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return shares[a] > shares[b]; });
  std::vector<Detection> found;
  for (std::size_t label : order)
    if (found.empty() || shares[label] / sum >= threshold)
      found.push_back({std::nullopt, shares[label] / sum, classes.at(label)});
  return found;
}

std::string metadata_entry(const Ort::Session& session, const char* name) {
  Ort::AllocatorWithDefaultOptions allocator;
  const auto found = session.GetModelMetadata().LookupCustomMetadataMapAllocated(name, allocator);
  return found ? found.get() : "";
}

}  // namespace

Detector::Detector(std::string model, std::optional<float> threshold)
    : model_(std::move(model)), given_(threshold) {
  follow();
}

void Detector::follow() {
  struct stat found{};
  const auto inspect = [&](const std::string& path) {
    if (stat(path.c_str(), &found) != 0) throw std::runtime_error(path + " is missing");
  };
  inspect(model_);
  const bool deployed = S_ISDIR(found.st_mode);
  const std::string path = deployed ? model_ + "/manifest.json" : model_;
  inspect(path);
  const std::pair<unsigned long, long long> now{found.st_ino,
                                                found.st_mtim.tv_sec * 1'000'000'000LL + found.st_mtim.tv_nsec};
  if (now == opened_) return;
  if (deployed) {
    std::ifstream stream(path);
    const json manifest = json::parse(stream);
    open(model_ + "/models/" + manifest.at("sha256").get<std::string>() + ".onnx", manifest);
  } else {
    open(model_, json::object());
  }
  opened_ = now;
}

void Detector::open(const std::string& file, const json& manifest) {
  const json session = manifest.value("session", json::object());
  threshold_ = given_.value_or(manifest.value("output", json::object()).value("score_threshold", 0.3F));
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(session.value("threads", 1));
  // As on the host, for manifests without options.
  const json entries = session.value("config_entries", json{{"session.x64quantprecision", "1"}});
  for (const auto& [name, value] : entries.items()) options.AddConfigEntry(name.c_str(), value.get<std::string>().c_str());
  session_ = std::make_unique<Ort::Session>(env_, file.c_str(), options);
  Ort::AllocatorWithDefaultOptions allocator;
  input_ = session_->GetInputNameAllocated(0, allocator).get();
  output_ = session_->GetOutputNameAllocated(0, allocator).get();
  takes_bytes_ = metadata_entry(*session_, "mlflow_nas.input") == "uint8-nhwc-rgbx";
  const auto shape = session_->GetInputTypeInfo(0).GetTensorTypeAndShapeInfo().GetShape();
  height_ = static_cast<int>(shape.at(takes_bytes_ ? 1 : 2));
  width_ = static_cast<int>(shape.at(takes_bytes_ ? 2 : 3));
  const bool named = manifest.contains("classes");
  const json classes = named ? manifest["classes"] : json::parse(metadata_entry(*session_, "mlflow_nas.classes"));
  classes_ = classes.get<std::vector<std::string>>();
}

std::vector<Detection> Detector::operator()(const Image& image) {
  follow();
  const Image small = resize(image, width_, height_);
  const std::size_t pixels = std::size_t(width_) * height_;
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  std::vector<std::uint8_t> bytes;
  std::vector<float> floats;
  Ort::Value taken{nullptr};
  if (takes_bytes_) {
    bytes.assign(4 * pixels, 0);
    for (std::size_t at = 0; at < pixels; ++at) std::copy_n(&small.rgb[3 * at], 3, &bytes[4 * at]);
    const std::array<std::int64_t, 4> shape{1, height_, width_, 4};
    taken = Ort::Value::CreateTensor<std::uint8_t>(memory, bytes.data(), bytes.size(), shape.data(), 4);
  } else {
    floats.resize(3 * pixels);
    for (std::size_t at = 0; at < 3 * pixels; ++at)
      floats[at % 3 * pixels + at / 3] = static_cast<float>(small.rgb[at]) / 255.0F;
    const std::array<std::int64_t, 4> shape{1, 3, height_, width_};
    taken = Ort::Value::CreateTensor<float>(memory, floats.data(), floats.size(), shape.data(), 4);
  }
  const char *input = input_.c_str(), *output = output_.c_str();
  const auto outputs = session_->Run(Ort::RunOptions{nullptr}, &input, &taken, 1, &output, 1);
  const auto shape = outputs.front().GetTensorTypeAndShapeInfo().GetShape();
  const float* values = outputs.front().GetTensorData<float>();
  if (shape.size() == 2) return classify(values, classes_, threshold_);
  std::vector<float> rows;
  std::size_t count = shape.at(1), columns = shape.at(2);
  if (shape.size() == 4) {
    rows = decode_cells(values, shape[1], shape[2], shape[3]);
    count = shape[2] * shape[3], columns = rows.size() / count, values = rows.data();
  }
  std::vector<Detection> found;
  const float wide = static_cast<float>(image.width), high = static_cast<float>(image.height);
  for (const auto& [box, score, label] : suppress(of_boxes(values, count, columns, threshold_))) {
    const auto clip = [](float value) { return std::clamp(value, 0.0F, 1.0F); };
    const std::array<float, 4> own{clip(box[0]) * wide, clip(box[1]) * high, clip(box[2]) * wide, clip(box[3]) * high};
    found.push_back({own, score, classes_.at(label)});
  }
  return found;
}
