// detect [--threshold T] MODEL IMAGE|FOLDER|-...   MODEL: an .onnx file, or mlflow_nas/deployed/NAME on the device
//
// Every image gives a line of JSON, as deploy/device/detect.py prints it. "-" reads P6 images from standard input
// until it ends, such as those of a camera: ffmpeg -f v4l2 -i /dev/video0 -f image2pipe -vcodec ppm - | detect MODEL -
#include <algorithm>
#include <filesystem>
#include <iostream>

#include "detector.hpp"

namespace {

namespace fs = std::filesystem;

void print(const std::string& name, const std::vector<Detection>& found) {
  nlohmann::json boxes = nlohmann::json::array(), scores = boxes, labels = boxes, line{{"image", name}};
  for (const auto& one : found) {
    if (one.box) boxes.push_back(*one.box);
    scores.push_back(one.score);
    labels.push_back(one.label);
  }
  if (found.empty() || found.front().box) line["boxes"] = boxes;
  line["scores"] = scores;
  line["classes"] = labels;
  std::cout << line.dump() << std::endl;
}

std::vector<std::string> files_of(const std::string& name) {
  if (!fs::is_directory(name)) return {name};
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(name))
    if (is_image(entry.path())) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

void detect(Detector& detector, const std::string& name) {
  if (name == "-") {
    Image image;
    while (read_ppm(std::cin, image)) print(name, detector(image));
    return;
  }
  for (const auto& file : files_of(name)) print(file, detector(read_image(file)));
}

}  // namespace

int main(int count, char** values) try {
  std::vector<std::string> words(values + 1, values + count);
  std::optional<float> threshold;
  if (words.size() > 1 && words[0] == "--threshold") {
    threshold = std::stof(words[1]);
    words.erase(words.begin(), words.begin() + 2);
  }
  if (words.size() < 2) {
    std::cerr << "usage: detect [--threshold T] MODEL IMAGE|FOLDER|-...\n";
    return 2;
  }
  Detector detector(words[0], threshold);
  for (std::size_t index = 1; index < words.size(); ++index) detect(detector, words[index]);
  return 0;
} catch (const std::exception& error) {
  std::cerr << "detect: " << error.what() << '\n';
  return 1;
}
