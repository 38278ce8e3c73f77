// The active version of a deployment, or a model file, as a detector or a classifier.
#pragma once

#include <array>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <onnxruntime_cxx_api.h>

#include "images.hpp"

struct Detection {
  std::optional<std::array<float, 4>> box;  // x1, y1, x2, y2 in pixels of the image; none of a classifier
  float score;
  std::string label;
};

class Detector {
 public:
  // model: an .onnx file, or a folder of a deployment, whose manifest is followed.
  Detector(std::string model, std::optional<float> threshold);

  // The best first. A switch of the deployment is seen before each image.
  std::vector<Detection> operator()(const Image& image);

 private:
  void follow();
  void open(const std::string& file, const nlohmann::json& manifest);

  std::string model_;
  std::optional<float> given_;
  float threshold_ = 0;
  std::pair<unsigned long, long long> opened_{0, 0};
  Ort::Env env_{ORT_LOGGING_LEVEL_ERROR, "detect"};
  std::unique_ptr<Ort::Session> session_;
  std::string input_, output_;
  bool takes_bytes_ = false;
  int width_ = 0, height_ = 0;
  std::vector<std::string> classes_;
};
